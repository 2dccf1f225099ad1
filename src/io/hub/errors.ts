/** A model could not be had from the hub: the message names the repository, the file, the endpoint and what to do. */
export class HubError extends Error {
  override readonly name = 'HubError';
  /** Whether the endpoint gave no answer, or none but of its own trouble: what was fetched earlier may serve instead. */
  readonly unreachable: boolean;

  constructor(message: string, options: ErrorOptions & { readonly unreachable?: boolean } = {}) {
    super(message, options);
    this.unreachable = options.unreachable ?? false;
  }
}
