/** What the daemon still has written down of the tasks, containers and sandboxes of a run that is over: a line for each. */
export async function recordsLeft(daemon, sandboxes) {
  const { tasksDefinition, containersDefinition, sandboxStoreDefinition } = daemon.definitions;
  const { tasks } = await daemon.call(tasksDefinition.list, {});
  const { containers } = await daemon.call(containersDefinition.list, {});
  const { list } = await daemon.call(sandboxStoreDefinition.list, {});
  const known = [];
  for (const id of sandboxes) if (await isKnown(daemon, id)) known.push(id);
  return [
    ...tasks.map(({ id, status }) => `task ${id} with status ${status}`),
    ...containers.map(({ id }) => `container ${id}`),
    ...list.map(({ sandboxId }) => `sandbox ${sandboxId} in the store`),
    ...known.map((id) => `sandbox ${id}`),
  ];
}

/** There is no list of sandboxes that run: the controller is asked about each, which costs it a look. */
async function isKnown(daemon, sandboxId) {
  try {
    await daemon.call(daemon.definitions.sandboxControllerDefinition.update, { sandboxId, sandbox: { sandboxId } });
    return true;
  } catch (error) {
    if (error.code === 'NOT_FOUND') return false;
    throw error;
  }
}
