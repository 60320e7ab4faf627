import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as Library from '../../../src/index.ts';
import { buildDirectory } from '../../helpers/program.ts';

/** Of the build under test: threads cannot load the sources. */
export const libraryUrl: string = pathToFileURL(path.join(buildDirectory, 'src/index.js')).href;

export const { Supervisor, TaskError } = (await import(/* @vite-ignore */ libraryUrl)) as typeof Library;
