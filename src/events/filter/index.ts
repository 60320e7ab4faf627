export { type Adaptor, absent, type FieldValue, type Filter, labelField, presentUnlessEmpty } from './filter.ts';
export { parseFilters } from './parser.ts';
