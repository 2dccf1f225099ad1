import { HubError } from './errors.ts';

/** A model on the hub. */
export interface HubReference {
  /** `owner/name`. */
  readonly repository: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

const NAME = '[A-Za-z0-9_](?:[\\w.-]*\\w)?';
const REPOSITORY = new RegExp(`^${NAME}/${NAME}$`);
const LONGEST_NAME = 96;
/** What git allows in no name of a branch or tag, and with it all that could leave a folder. */
const NO_REVISION = /[\0-\x20\x7f~^:?*[\\"<>|]|\.\.|@\{|\/\/|^\/|\/$|\.$|(?:^|\/)\.|\.lock(?:\/|$)/;

/**
 * Reads `owner/name` or `owner/name@revision`, the revision being `main` where none is given; undefined for what is no such name.
 *
 * @throws HubError when the revision is none that git allows
 */
export function parseHubReference(text: string): HubReference | undefined {
  const at = text.indexOf('@');
  const repository = at < 0 ? text : text.slice(0, at);
  const isName = REPOSITORY.test(repository) && !/--|\.\.|\.git$/.test(repository);
  if (!isName || repository.split('/').some((part) => part.length > LONGEST_NAME)) return undefined;
  const revision = at < 0 ? 'main' : text.slice(at + 1);
  if (revision === '' || revision.length > 200 || NO_REVISION.test(revision)) {
    throw new HubError(
      `${JSON.stringify(revision)} can be no revision of ${repository}; give a branch, a tag or a commit: ${repository}@main`,
    );
  }
  return { repository, revision };
}

/** Whether `revision` is a whole commit hash, whose files never change. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}
