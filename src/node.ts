/** The library in Node. */
export * from './index.ts';
