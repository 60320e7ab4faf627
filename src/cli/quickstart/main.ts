// `npm run quickstart`: shows shimd at work, for any user and with nothing installed.
import { quickstart } from './quickstart.ts';

process.exit(await quickstart());
