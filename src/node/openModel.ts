import { HubError } from '../io/hub/errors.ts';
import { parseHubReference, type HubReference } from '../io/hub/reference.ts';
import { openSnapshot, type SnapshotControl } from './hub/snapshot.ts';
import { hubSettings, type Environment } from './hub/settings.ts';
import { exists } from './inputFile.ts';

/** A model on this machine. */
export interface LocalModel {
  /** With `config.json` and the weights, for `loadModelFolder`. */
  readonly folder: string;
  /** Where it was had from, when that is the hub. */
  readonly hub: (HubReference & { readonly endpoint: string; readonly commit: string }) | null;
}

export interface OpenModelOptions extends SnapshotControl {
  /** Called before the hub is asked for anything. */
  readonly onHub?: (reference: HubReference, endpoint: string) => void;
  /** In place of the process's. */
  readonly env?: Environment;
}

/** Whether `model` names no path that is there and can be a model of the hub. Throws HubError for an impossible revision. */
export async function isOnHub(model: string): Promise<boolean> {
  return !(await exists(model)) && parseHubReference(model) !== undefined;
}

/**
 * The folder of a model, which is `model` itself when there is such a path, or when it can be nothing else; a model of the hub
 * (`owner/name` or `owner/name@revision`) is fetched into the cache of Hugging Face, unless it is there.
 *
 * @throws HubError naming repository, file and endpoint when the hub does not give it
 * @throws OutputError when the cache cannot be written
 */
export async function openModel(model: string, options: OpenModelOptions = {}): Promise<LocalModel> {
  if (await exists(model)) return { folder: model, hub: null };
  let reference: HubReference | undefined;
  try {
    reference = parseHubReference(model);
    if (!reference) return { folder: model, hub: null };
    const settings = await hubSettings(options.env);
    if (!settings.offline) options.onHub?.(reference, settings.endpoint);
    const { folder, commit } = await openSnapshot(reference, settings, options);
    return { folder, hub: { ...reference, endpoint: settings.endpoint, commit } };
  } catch (cause) {
    if (!(cause instanceof HubError)) throw cause;
    throw new HubError(`${model} is no folder here, and as a model of the hub: ${cause.message}`, { cause });
  }
}
