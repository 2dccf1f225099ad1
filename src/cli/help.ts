import type { Command } from './command.ts';
import type { Flag } from './flags.ts';
import { table } from './text.ts';

/** What every command takes. */
const HELP_ROW = ['-h, --help', 'print this text'];

export function commandHelp(command: Command): string {
  const flags = Object.entries(command.flags).map(([name, flag]) => [flagText(name, flag), flagHelp(flag)]);
  return lines(
    usage(command),
    '',
    ...command.description,
    '',
    'Flags:',
    ...indent(table([...flags, HELP_ROW])),
    '',
    command.examples.length === 1 ? 'Example:' : 'Examples:',
    ...indent(command.examples),
  );
}

export function programHelp(commands: readonly Command[], version: string): string {
  return lines(
    `twinshift ${version}: post-training quantization of vision transformers on WebGPU (PTQ4ViT)`,
    '',
    'Usage: twinshift <command> [flags]',
    '',
    'Commands:',
    ...indent(table(commands.map((command) => [command.name, command.summary]))),
    '',
    'twinshift <command> --help tells the flags of a command; twinshift --version prints the version.',
    '',
    'Exit codes: 0 done, 1 the run failed, 2 the input or the command line is wrong, 130 interrupted.',
  );
}

function usage(command: Command): string {
  const required = Object.entries(command.flags).filter(([, flag]) => flag.required);
  const words = [...command.positionals, ...required.map(([name, flag]) => flagText(name, flag)), '[flags]'];
  return `Usage: twinshift ${command.name} ${words.join(' ')}`;
}

function flagText(name: string, flag: Flag<unknown>): string {
  return flag.placeholder === null ? `--${name}` : `--${name} ${flag.placeholder}`;
}

function flagHelp(flag: Flag<unknown>): string {
  if (flag.required) return `${flag.help} (required)`;
  const { absent, shown } = flag;
  const value = typeof absent === 'number' || typeof absent === 'string' ? absent : shown;
  return value === undefined ? flag.help : `${flag.help} (default ${value})`;
}

function indent(texts: readonly string[]): string[] {
  return texts.map((text) => `  ${text}`);
}

function lines(...texts: readonly string[]): string {
  return `${texts.join('\n')}\n`;
}
