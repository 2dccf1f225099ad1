/** What each picture shows, what to look for in it, and where the paper (PTQ4ViT, arXiv:2111.12293) tells of it. */
export interface Caption {
  readonly title: string;
  readonly lookFor: string;
  /** Null for what the paper does not have. */
  readonly section: string | null;
}

export const CAPTIONS = {
  'post-softmax': {
    title: 'Values after softmax and the points that codes stand for',
    lookFor:
      'Most probabilities are tiny and a few are near 1. One uniform range spends its points evenly, so nearly all values share a handful of codes; ' +
      'the fine range of twin ranges has many points where the values are, and the coarse one still reaches 1.',
    section: 'section 3.2',
  },
  'post-gelu': {
    title: 'Values after GELU and the points that codes stand for',
    lookFor:
      'Negative values end at -0.17 while positive ones run far. A symmetric uniform range leaves most of its negative points unused; ' +
      'twin ranges give the negative values points of their own, close together.',
    section: 'section 3.2',
  },
  plain: {
    title: 'Values and the points that codes stand for',
    lookFor:
      'The points should end where the values thin out: values beyond them are clipped, and points beyond the values (not drawn) are wasted.',
    section: 'section 3.1',
  },
  curves: {
    title: 'Score against candidate scale',
    lookFor:
      'The chosen scale is at 1, a dot marks the least of every metric. A metric whose dot is elsewhere would choose another scale. ' +
      'The curves are of some rows of one image, so that even the metric of the search may have its dot a step aside.',
    section: 'section 3.3, figure 5',
  },
  loss: {
    title: 'True loss',
    lookFor:
      'The lines of KL divergence and cross-entropy are what each scale does to the logits when this layer alone is quantized. ' +
      'The metric whose minimum lies where theirs is would have chosen best.',
    section: 'section 3.3, figure 5',
  },
  map: {
    title: 'Where the network is damaged',
    lookFor:
      'The redder a cell, the more is lost: the signal over noise of the output of each product, in decibels. Click a cell to see the layer below.',
    section: 'section 3.3',
  },
  stages: {
    title: 'Time of each stage',
    lookFor:
      'The search of the layers, with the compensation of their weights, should dominate; a long capture or backward pass points to memory or too few images in a chunk.',
    section: 'section 3.4',
  },
  pareto: {
    title: 'Cost against expected damage',
    lookFor:
      'Every point is the best choice of widths for its cost; the marked one is what the budget gave. A bend is a good budget.',
    section: null,
  },
} as const satisfies Record<string, Caption>;
