/** Signal over noise of a layer's output, in decibels, at which its colour in a map of layers ends: fixed, so that runs compare. */
export const DAMAGE_DB = { worst: 15, best: 50 } as const;
