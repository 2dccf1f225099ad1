/**
 * Times the whole calibration job: seconds of each stage, candidates per second and multiply-accumulates per second, `default`
 * against `paper` in the same run. On DeiT-Tiny with 8 photos where the real data is (`TWINSHIFT_DATA`), else on the embedded
 * sample with its 32 images. One JSON line a preset, then their ratio. `npm run bench` runs it after the kernels' bench.
 */
import { calibrate } from '../src/calibrate/calibrate.ts';
import { calibrationOptions } from '../src/calibrate/presets.ts';
import { loadModelFolder } from '../src/node/modelFolder.ts';
import { openNodeGpu } from '../src/node/openGpu.ts';
import { labelledImages, realData, SAMPLE } from './support/data.ts';

const data = realData();
const folder = data === undefined ? SAMPLE : `${data}/deit-tiny-patch16-224`;
const { gpu, close } = await openNodeGpu();
try {
  const model = await loadModelFolder(folder);
  const photos = data === undefined ? `${SAMPLE}/calib` : `${data}/imagenet-sample/calib`;
  const { images } = await labelledImages(photos, model);
  const chosen = data === undefined ? images : images.slice(0, 8);
  const totals: { seconds: number; macs: number }[] = [];
  for (const preset of ['default', 'paper'] as const) {
    const started = performance.now();
    const result = await calibrate(gpu, model, chosen, calibrationOptions(preset));
    const seconds = (performance.now() - started) / 1000;
    const searchMs = Object.entries(result.stages).reduce(
      (sum, [stage, ms]) => sum + (stage.startsWith('search') ? ms : 0),
      0,
    );
    console.log(
      JSON.stringify({
        bench: 'quantize',
        model: model.config.architecture,
        preset,
        images: chosen.length,
        seconds,
        candidates: result.candidates,
        candidatesPerSecond: result.candidates / (searchMs / 1000),
        searchGigaMacsPerSecond: result.candidateMacs / searchMs / 1e6,
        stageMs: result.stages,
        peakDeviceBytes: result.peakDeviceBytes,
        peakProcessBytes: 1024 * process.resourceUsage().maxRSS,
        adapter: gpu.adapter.description,
        software: gpu.adapter.software,
      }),
    );
    totals.push({ seconds, macs: result.candidateMacs });
  }
  const [fast, paper] = totals as [(typeof totals)[number], (typeof totals)[number]];
  console.log(
    JSON.stringify({
      bench: 'quantize',
      ratio: 'default over paper',
      seconds: fast.seconds / paper.seconds,
      work: fast.macs / paper.macs,
      adapter: gpu.adapter.description,
    }),
  );
} finally {
  close();
}
