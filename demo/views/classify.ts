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

/** @param fail tells of what the page itself cannot do */
export function connectClassify(client: Client, fail: (message: string) => void): Classifying {
  const video = byId<HTMLVideoElement>('video');
  const picture = byId<HTMLImageElement>('classified-picture');
  const input = byId<HTMLInputElement>('picture');
  const camera = byId<HTMLButtonElement>('camera');
  let stream: MediaStream | undefined;

  const showPicture = (file: File) => {
    URL.revokeObjectURL(picture.src);
    picture.src = URL.createObjectURL(file);
    picture.alt = file.name;
    show(picture, true);
  };
  const stop = () => {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = undefined;
    video.srcObject = null;
    show(video, false);
    camera.setAttribute('aria-pressed', 'false');
    camera.textContent = 'Camera';
  };
  const sendFrame = async () => {
    if (!stream) return;
    const frame = await createImageBitmap(video);
    client.send({ kind: 'classify', image: frame, name: CAMERA }, [frame]);
  };
  const startCamera = async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, facingMode: 'environment' } });
    } catch (error) {
      return fail(`The camera cannot be used: ${(error as Error).message}`);
    }
    video.srcObject = stream;
    show(picture, false);
    show(video, true);
    camera.setAttribute('aria-pressed', 'true');
    camera.textContent = 'Stop the camera';
    await video.play();
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
      const can = classifier !== null && !running;
      input.disabled = !can;
      camera.disabled = !can;
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
