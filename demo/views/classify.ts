/** One picture, or the camera, by the integer model. */
import type { Client } from '../client.ts';
import { byId, element, show } from '../dom.ts';
import type { Reply } from '../protocol.ts';
import type { State } from '../state.ts';
import { durationText, percent } from '../text.ts';
import { classText } from './result.ts';

/** The name of frames of the camera. */
const CAMERA = 'camera';

export interface Classifying {
  readonly draw: (state: State) => void;
  readonly classified: (reply: Extract<Reply, { kind: 'classified' }>) => void;
  /** The last picture came to nothing. */
  readonly failed: () => void;
}

/** The camera, or why there is none. */
async function openCamera(): Promise<MediaStream | string> {
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { width: 640, facingMode: 'environment' } });
  } catch (error) {
    const { name, message } = error as Error;
    if (name === 'NotAllowedError') {
      return 'The camera may not be used: allow it for this page in the settings of the browser, or choose a picture.';
    }
    if (name === 'NotFoundError') return 'There is no camera on this device: choose a picture.';
    return `The camera cannot be used (${message}): choose a picture.`;
  }
}

/** @param fail tells of what the page itself cannot do */
export function connectClassify(client: Client, fail: (message: string) => void): Classifying {
  const video = byId<HTMLVideoElement>('video');
  const picture = byId<HTMLImageElement>('classified-picture');
  const input = byId<HTMLInputElement>('picture');
  const camera = byId<HTMLButtonElement>('camera');
  let can = false;
  let stream: MediaStream | undefined;
  /** Counts starts and stops: a camera that opens after it was stopped is closed again. */
  let turn = 0;

  const showPicture = (file: File) => {
    URL.revokeObjectURL(picture.src);
    picture.src = URL.createObjectURL(file);
    picture.alt = file.name;
    show(picture, true);
  };
  const stop = () => {
    turn++;
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = undefined;
    video.srcObject = null;
    show(video, false);
    camera.setAttribute('aria-pressed', 'false');
    camera.textContent = 'Camera';
  };
  const sendFrame = async () => {
    if (!stream) return;
    const mine = turn;
    const frame = await createImageBitmap(video).catch(() => undefined); // a camera that is stopped has no frame
    if (!frame || mine !== turn) return frame?.close();
    client.send({ kind: 'classify', image: frame, name: CAMERA }, [frame]);
  };
  const startCamera = async () => {
    const mine = ++turn;
    camera.disabled = true;
    const opened = await openCamera().finally(() => (camera.disabled = !can));
    if (typeof opened === 'string') return fail(opened);
    if (mine !== turn || !can) {
      for (const track of opened.getTracks()) track.stop();
      return;
    }
    stream = opened;
    for (const track of stream.getTracks()) track.addEventListener('ended', stop); // it was unplugged, or taken back
    video.srcObject = stream;
    show(picture, false);
    show(video, true);
    camera.setAttribute('aria-pressed', 'true');
    camera.textContent = 'Stop the camera';
    await video.play().catch(() => undefined); // it was stopped before the first frame
    await sendFrame();
  };

  input.addEventListener('change', () => {
    const [file] = input.files ?? [];
    if (!file) return;
    stop();
    showPicture(file);
    client.send({ kind: 'classify', image: file, name: file.name });
  });
  camera.addEventListener('click', () => {
    if (stream) stop();
    else void startCamera();
  });

  return {
    draw({ classifier, running }) {
      byId('classifier').textContent =
        classifier === null ? 'Quantize a model, or open a model file that you have.' : `Classifies by ${classifier}.`;
      const could = can;
      can = classifier !== null && !running;
      input.disabled = !can;
      if (can !== could) camera.disabled = !can;
      if (!can && stream) stop();
    },
    classified({ name, top, ms }) {
      if (name === CAMERA && !stream) return;
      byId('classes').replaceChildren(
        ...top.map((found) =>
          element(
            'li',
            {},
            element('span', {}, classText(found)),
            element('meter', { min: 0, max: 1, value: found.probability, 'aria-label': classText(found) }),
            element('span', {}, percent(found.probability)),
          ),
        ),
      );
      byId('classified-time').textContent = `${name}: ${durationText(ms)} in integers`;
      if (name === CAMERA) void sendFrame();
    },
    failed: stop,
  };
}
