/** What a person can choose on the page. */
import type { CalibrationOverrides, Metric, NonlinearChoice, NonlinearOption } from '../src/index.ts';

export interface Settings {
  readonly weightBits: number;
  readonly activationBits: number;
  /** Twin ranges after softmax and GELU; uniform ones without. */
  readonly twin: boolean;
  readonly metric: Metric;
  readonly nonlinear: NonlinearOption;
  /** Images to calibrate with, and images to compare both networks on, at most. */
  readonly calibrationImages: number;
  readonly evaluationImages: number;
}

export const DEFAULT_SETTINGS: Settings = {
  weightBits: 8,
  activationBits: 8,
  twin: true,
  metric: 'hessian',
  nonlinear: 'auto',
  calibrationImages: 32,
  evaluationImages: 64,
};

/** Over the options of the preset `fast`, which a page has time for. */
export function overridesOf({ weightBits, activationBits, twin, metric }: Settings): CalibrationOverrides {
  const shaped = twin ? 'twin' : 'uniform';
  return { weightBits, activationBits, metric, softmax: shaped, gelu: shaped };
}

export function nonlinearOf({ nonlinear }: Settings): NonlinearChoice {
  return { softmax: nonlinear, gelu: nonlinear, layerNorm: nonlinear };
}

/**
 * Half the images: what is offered where the memory of a device did not do. Undefined where there is nothing to take away.
 *
 * @param photos how many there are of one's own, where there are any
 */
export function smaller(settings: Settings, photos = Infinity): Settings | undefined {
  const [calibrationImages, evaluationImages] = [settings.calibrationImages, settings.evaluationImages].map((count) =>
    Math.min(count, photos),
  ) as [number, number];
  if (calibrationImages <= 1 && evaluationImages <= 1) return undefined;
  const half = (count: number) => Math.max(1, Math.floor(count / 2));
  return { ...settings, calibrationImages: half(calibrationImages), evaluationImages: half(evaluationImages) };
}
