import type { AdapterDescription, SelfTestResult } from '../node.ts';
import type { Command } from './command.ts';
import { EXIT } from './errors.ts';
import { onOff } from './flags.ts';
import { adapterText } from './runReport.ts';
import { formatBytes, formatDuration, plural, table } from './text.ts';
import { version } from './version.ts';

/** What `doctor --json` prints. */
interface DoctorReport {
  readonly twinshift: string;
  readonly node: string;
  readonly platform: string;
  /** The adapter that the commands use. */
  readonly adapter: AdapterDescription;
  /** Every different adapter that this machine offers, the one in use first. */
  readonly adapters: readonly AdapterDescription[];
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
  readonly selfTest: readonly SelfTestResult[];
  readonly selfTestMs: number;
  /** Every kernel agrees with its twin. */
  readonly ok: boolean;
}

/** Limits that decide what fits. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupsPerDimension',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupStorageSize',
] as const;

const flags = { json: onOff('print the findings as one JSON document') };

export const doctor: Command<typeof flags> = {
  name: 'doctor',
  summary: 'show the adapter with its limits and features, and test every kernel on it',
  positionals: [],
  description: [
    'Opens the adapter that the other commands use and runs every kernel on a small input against its plain TypeScript',
    'twin. Exit code 1: there is no adapter, or a kernel gave wrong numbers. The Vulkan loader chooses the drivers; set',
    'VK_DRIVER_FILES (or VK_ICD_FILENAMES) to the path of an ICD file to choose another.',
  ],
  flags,
  examples: ['twinshift doctor', 'VK_DRIVER_FILES=/usr/share/vulkan/icd.d/lvp_icd.json twinshift doctor --json'],
  async run({ values }, { print, progress }) {
    const node = await import('../node.ts');
    const { gpu, close, adapters } = await node.openNodeGpu();
    try {
      progress.report({ stage: 'testing the kernels', done: 0, total: 1 });
      const started = performance.now();
      const selfTest = await node.selfTest(gpu);
      const report: DoctorReport = {
        twinshift: version,
        node: process.version,
        platform: `${process.platform} ${process.arch}`,
        adapter: gpu.adapter,
        adapters: await adapters(),
        features: [...gpu.device.features].sort(),
        limits: Object.fromEntries(LIMITS.map((name) => [name, gpu.device.limits[name]])),
        selfTest,
        selfTestMs: performance.now() - started,
        ok: selfTest.every(({ passed }) => passed),
      };
      progress.clear();
      print(values.json ? `${JSON.stringify(report, null, 2)}\n` : findings(report));
      return report.ok ? EXIT.ok : EXIT.failed;
    } finally {
      close();
    }
  },
};

function findings(report: DoctorReport): string {
  const others = report.adapters.slice(1).map((adapter) => ['also found', adapterText(adapter)]);
  const failed = report.selfTest.filter(({ passed }) => !passed);
  const verdict = report.ok
    ? `${plural(report.selfTest.length, 'check')} of the kernels against their twins passed in ${formatDuration(report.selfTestMs)}`
    : `${failed.length} of ${plural(report.selfTest.length, 'check')} FAILED: do not trust results of this adapter`;
  return `${[
    ...table([
      ['twinshift', `${report.twinshift}, Node ${report.node}, ${report.platform}`],
      ['adapter', adapterText(report.adapter)],
      ...others,
      ['features', report.features.join(', ') || 'none'],
    ]),
    'limits',
    ...table(
      Object.entries(report.limits).map(([name, value]) => [
        `  ${name}`,
        name.endsWith('Size') ? formatBytes(value) : String(value),
      ]),
    ),
    'kernels',
    ...table(
      report.selfTest.map((result) => [
        `  ${result.kernel} ${result.form}`.trimEnd(),
        result.passed ? 'ok' : 'FAILED',
        measured(result),
      ]),
    ),
    verdict,
  ].join('\n')}\n`;
}

function measured({ error, bound, failure }: SelfTestResult): string {
  if (failure !== null || error === null) return failure ?? '';
  if (bound === 0) return error === 0 ? 'every bit equal' : `${(100 * error).toFixed(2)} % of the words differ`;
  return `error ${error.toExponential(1)}, at most ${bound.toExponential(0)}`;
}
