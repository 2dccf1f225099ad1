/** The library in a browser. */
export * from './index.ts';
