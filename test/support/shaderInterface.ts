import { ResourceType, WgslReflect } from 'wgsl_reflect/wgsl_reflect.module.js';
import type { Kernel } from '../../src/gpu/kernel.ts';

/** Where a kernel record and the text of its shader disagree. The pipeline would not notice a swapped binding or parameter. */
export function interfaceProblems(kernel: Kernel): string[] {
  const shader = new WgslReflect(withoutBodies(kernel.wgsl));
  const [group = [], ...others] = shader.getBindGroups();
  const uniform = group.at(-1);
  const problems: string[] = [];
  const compare = (what: string, inShader: unknown, inRecord: unknown) => {
    const [left, right] = [JSON.stringify(inShader), JSON.stringify(inRecord)];
    if (left !== right) problems.push(`${what}: the shader has ${left}, the record ${right}`);
  };
  compare(
    'entry points',
    [shader.entry.compute, shader.entry.vertex, shader.entry.fragment].flat().map((f) => f.name),
    [kernel.name],
  );
  if (others.length > 0) problems.push('only @group(0) is bound');
  if (uniform?.name !== 'params' || uniform.resourceType !== ResourceType.Uniform || uniform.type.name !== 'Params') {
    problems.push('the last binding is not the uniform params: Params');
  }
  compare(
    'bindings',
    group.map(({ binding, name, access, resourceType }) => [
      binding,
      name,
      resourceType === ResourceType.Uniform ? 'uniform' : access,
    ]),
    [...Object.entries(kernel.bindings), ['params', 'uniform']].map(([name, access], i) => [i, name, access]),
  );
  const members = shader.structs.find((struct) => struct.name === 'Params')?.members ?? [];
  compare(
    'parameters',
    members.map((member) => [member.name, member.type.name, member.offset]),
    Object.entries(kernel.params).map(([name, type], i) => [name, type, 4 * i]),
  );
  compare('overrides', sorted(overrideDefaults(kernel.wgsl)), sorted(kernel.overrides));
  if (isIntegerKernel(kernel) && namesFloat(kernel.wgsl)) problems.push('an integer kernel names a float');
  return problems;
}

/** What a `lib_*.wgsl` may not hold: it is appended to other modules, so it has functions and constants only. */
export function libraryProblems(wgsl: string): string[] {
  const code = withoutComments(wgsl);
  const forbidden = ['@compute', '@group', 'override ', 'enable ', 'var<'].filter((word) => code.includes(word));
  return forbidden.map((word) => `a library holds functions only, not ${word.trim()}`);
}

/** Every `override` of a shader with its default, NaN without one. */
export function overrideDefaults(wgsl: string): Record<string, number> {
  const found = withoutComments(wgsl).matchAll(/\boverride\s+(\w+)\s*(?::\s*\w+)?\s*(?:=\s*([^;]+?)\s*)?;/g);
  return Object.fromEntries(
    [...found].map(([, name = '', value]) => [name, Number(value?.replace(/[uif]$/, '') ?? NaN)]),
  );
}

/** All buffers and parameters are integers: then everything between them must be, too. */
function isIntegerKernel(kernel: Kernel): boolean {
  const buffers = withoutComments(kernel.wgsl).matchAll(/\bvar<storage[^>]*>\s*\w+\s*:\s*([^;]+);/g);
  return [...buffers].every(([, type = '']) => !namesFloat(type)) && !Object.values(kernel.params).includes('f32');
}

/** Whether the code, comments aside, has a float type or a float number. */
export function namesFloat(wgsl: string): boolean {
  return /\b(f32|f16|vec[234][fh]|mat\dx\d[fh])\b|\b\d+\.\d|\b\d+[fh]\b/.test(withoutComments(wgsl));
}

/** The parser fails on bodies whose variables are called `workgroup` or `block`; the interface needs none of them. */
function withoutBodies(wgsl: string): string {
  let depth = 0;
  let inFunction = false;
  let kept = '';
  for (const token of withoutComments(wgsl).split(/(\bfn\b|[{}])/)) {
    if (token === 'fn') inFunction = true;
    if (token === '}') depth--;
    if (!inFunction || depth === 0) kept += token;
    if (token === '}' && depth === 0) inFunction = false;
    if (token === '{') depth++;
  }
  return kept;
}

function withoutComments(wgsl: string): string {
  return wgsl.replace(/\/\/.*$/gm, '').replace(/\/\*[^]*?\*\//g, '');
}

function sorted(record: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}
