export function containerdConfig(directory: string, socket: string): string;
