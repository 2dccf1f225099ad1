import type { NonlinearCounts } from '../node.ts';
import type { Call, Command, Context } from './command.ts';
import { EXIT, UsageError } from './errors.ts';
import { choice, onOff, optionalPath, requiredPath } from './flags.ts';
import { loadModel } from './loadModel.ts';
import { nonlinearFlag } from './nonlinearFlag.ts';
import { formatBytes, plural, table } from './text.ts';
import { version } from './version.ts';

const FORMATS = ['twinshift', 'onnx', 'onnx-float', 'safetensors-qdq'] as const;

const flags = {
  out: requiredPath('<file>', 'file to write, such as model.twinshift.safetensors or model.onnx'),
  format: choice('format of the file', 'twinshift', FORMATS),
  model: optionalPath('<model>', 'the float model of the recipe, which safetensors-qdq needs'),
  nonlinear: nonlinearFlag(),
  force: onOff('replace the file if it exists'),
  json: onOff('print what was written as one JSON document'),
};
type ExportFlags = typeof flags;

/** What `export --json` prints. */
interface ExportReport {
  /** Paths as they were given; with onnx-float the recipe is null. */
  readonly recipe: string | null;
  readonly model: string | null;
  readonly format: (typeof FORMATS)[number];
  readonly out: string;
  readonly bytes: number;
  /** All parameters as f32. */
  readonly floatWeightBytes: number;
  /** How many layers of each kind take each method in a file for integers; else null. */
  readonly nonlinear: NonlinearCounts | null;
}

export const exportCommand: Command<ExportFlags> = {
  name: 'export',
  summary: 'turn a recipe into one file: for inference in integers, ONNX, or safetensors',
  positionals: ['<recipe>'],
  description: [
    'Reads recipe.json and weights.safetensors of a folder that quantize wrote; no GPU is needed, nor the float model but for',
    'safetensors-qdq. The twinshift file holds all that inference in integers needs; quantize writes it into its folder too.',
    'onnx: the quantize-dequantize model. onnx-float: the float model, which stands in the place of <recipe>.',
    'safetensors-qdq: the values of the quantized weights under the names and in the shapes of the checkpoint.',
  ],
  flags,
  examples: [
    'twinshift export out/sample --out sample.twinshift.safetensors',
    'twinshift export out/sample --nonlinear softmax=lut,gelu=shift-fixed --out mixed.twinshift.safetensors',
    'twinshift export out/sample --format onnx --out sample.onnx',
    'twinshift export models/sample --format onnx-float --out sample-float.onnx',
    'twinshift export out/sample --format safetensors-qdq --model models/sample --out sample-qdq.safetensors',
  ],
  async run(call, context) {
    const { values } = call;
    checkFlags(call);
    const node = await import('../node.ts');
    const source = call.positionals[0] as string;
    const inputs = [source, ...node.recipePaths(source), ...(values.model === undefined ? [] : [values.model])];
    await node.checkOutputFile(values.out, { force: values.force, inputs });
    const { recipe, model, bytes, floatWeightBytes, nonlinear } = await exported(call, context);
    context.signal.throwIfAborted();
    await node.writeFileAtomically(values.out, bytes);
    const { format, out } = values;
    const report: ExportReport = {
      ...{ recipe, model, format, out, bytes: bytes.byteLength, floatWeightBytes, nonlinear },
    };
    context.progress.clear();
    context.print(values.json ? `${JSON.stringify(report, null, 2)}\n` : summary(report));
    return EXIT.ok;
  },
};

function checkFlags({ values, given }: Call<ExportFlags>): void {
  const { format } = values;
  if (format !== 'twinshift' && given.has('nonlinear')) {
    throw new UsageError(`--nonlinear is for --format twinshift: ${format} has float softmax, GELU and LayerNorm`);
  }
  if (format === 'safetensors-qdq' && values.model === undefined) {
    throw new UsageError(
      '--format safetensors-qdq needs --model <model>, the float model whose names and shapes it keeps',
    );
  }
  if (format !== 'safetensors-qdq' && values.model !== undefined) {
    const instead = format === 'onnx-float' ? '; give it in the place of <recipe>' : '';
    throw new UsageError(`--model is for --format safetensors-qdq${instead}`);
  }
}

type Made = Omit<ExportReport, 'format' | 'out' | 'bytes'> & { readonly bytes: Uint8Array };

async function exported({ values, positionals }: Call<ExportFlags>, context: Context): Promise<Made> {
  const node = await import('../node.ts');
  const source = positionals[0] as string;
  const program = `twinshift ${version}`;
  const exporting = () => context.progress.report({ stage: 'exporting', done: 0, total: 1 });
  if (values.format === 'onnx-float') {
    const { model } = await loadModel(source, context);
    exporting();
    const floatWeightBytes = node.parameterBytes(model);
    return { recipe: null, model: source, floatWeightBytes, nonlinear: null, bytes: node.onnxOfModel(model, version) };
  }
  if (values.model !== undefined) {
    const { model, folder } = await loadModel(values.model, context);
    const files = await node.loadRecipeFolder(source, model, values.model);
    exporting();
    const bytes = await node.checkpointOfRecipe(files, model, folder, program);
    return {
      recipe: source,
      model: values.model,
      floatWeightBytes: node.floatWeightBytes(files),
      nonlinear: null,
      bytes,
    };
  }
  const files = await node.loadRecipeFiles(source);
  const made = { recipe: source, model: null, floatWeightBytes: node.floatWeightBytes(files) };
  exporting();
  if (values.format === 'onnx') return { ...made, nonlinear: null, bytes: node.onnxOfRecipe(files, version) };
  const { bytes, model } = await node.exportRecipe(files, values.nonlinear, program);
  return { ...made, nonlinear: node.nonlinearMethods(model), bytes };
}

function summary({ out, bytes, floatWeightBytes, nonlinear }: ExportReport): string {
  const share = ((100 * bytes) / floatWeightBytes).toFixed(1);
  const rows = [
    ['written', out],
    ['size', `${formatBytes(bytes)}, ${share} % of ${formatBytes(floatWeightBytes)} as f32`],
    ...Object.entries(nonlinear ?? {}).map(([kind, methods]) => [kind, methodText(methods)]),
  ];
  return `${table(rows).join('\n')}\n`;
}

function methodText(methods: Readonly<Record<string, number>>): string {
  return Object.entries(methods)
    .map(([method, layers]) => `${method} in ${plural(layers, 'layer')}`)
    .join(', ');
}
