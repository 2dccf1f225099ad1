import { isBuiltin } from 'node:module';
import path from 'node:path';
import ts from 'typescript';

/** Files of `src` by their path inside it, each with what it imports: `room/file.ts`, `../outside`, or a package. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

/** For each room the rooms and single files that it may import besides itself; `*` is every room. */
export type RoomTable = Readonly<Record<string, readonly string[]>>;

/** Every import and re-export of a file, of types and on demand included, relative ones resolved inside `src`. */
export function importsOf(file: string, text: string): string[] {
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => resolved(file, fileName));
}

/**
 * What is loaded together with a file, resolved as by `importsOf`: no types, nothing on demand. With the compiler's
 * `verbatimModuleSyntax` an import is of types when the whole of it says so.
 */
export function loadedWith(file: string, text: string): string[] {
  const { statements } = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  return statements.flatMap((statement) => {
    if (ts.isImportDeclaration(statement)) {
      return statement.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword ? [] : targets(statement);
    }
    return ts.isExportDeclaration(statement) && !statement.isTypeOnly ? targets(statement) : [];
  });

  function targets({ moduleSpecifier }: ts.ImportDeclaration | ts.ExportDeclaration): string[] {
    return moduleSpecifier && ts.isStringLiteral(moduleSpecifier) ? [resolved(file, moduleSpecifier.text)] : [];
  }
}

function resolved(file: string, name: string): string {
  if (!name.startsWith('.')) return name;
  return path.posix.normalize(path.posix.join(path.posix.dirname(file), name.replace(/\?.*$/, '')));
}

/** The room of a file, undefined for a file beside the rooms and for anything outside `src`. */
export function roomOf(file: string): string | undefined {
  return file.startsWith('../') || !file.includes('/') ? undefined : file.slice(0, file.indexOf('/'));
}

/** Imports from one room to another that the table does not allow, and rooms that it does not know. */
export function roomViolations(graph: ImportGraph, table: RoomTable, entries: readonly string[]): string[] {
  const problems: string[] = [];
  for (const [file, imports] of graph) {
    const room = roomOf(file);
    const allowed = table[room ?? file];
    if (!allowed) {
      problems.push(`${file} lies in no room of the table`);
      continue;
    }
    for (const target of imports) {
      if (!graph.has(target) && !target.startsWith('../')) continue; // a package
      const targetRoom = roomOf(target);
      if (room !== undefined && targetRoom === room) continue;
      if (allowed.includes('*') && (targetRoom !== undefined || entries.includes(target))) continue;
      if (allowed.includes(target) || (targetRoom !== undefined && allowed.includes(targetRoom))) continue;
      if (allowed.some((name) => name.startsWith('../') && name.endsWith('/') && target.startsWith(name))) continue;
      problems.push(`${file} may not import ${target}`);
    }
  }
  return problems;
}

/** One cycle of imports as `a -> b -> a`, or undefined. */
export function findCycle(graph: ImportGraph): string | undefined {
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): string | undefined => {
    if (trail.includes(file)) return [...trail.slice(trail.indexOf(file)), file].join(' -> ');
    if (done.has(file)) return undefined;
    for (const target of graph.get(file) ?? []) {
      const cycle = visit(target, [...trail, file]);
      if (cycle) return cycle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const cycle = visit(file, []);
    if (cycle) return cycle;
  }
  return undefined;
}

/** Every file of the graph that `entries` reach, themselves included, with the chain of files that leads there. */
export function filesReachedFrom(graph: ImportGraph, entries: readonly string[]): Map<string, string> {
  const chains = new Map<string, string>();
  const visit = (file: string, chain: string) => {
    if (chains.has(file)) return;
    chains.set(file, chain);
    for (const target of graph.get(file) ?? []) if (graph.has(target)) visit(target, `${chain} -> ${target}`);
  };
  for (const entry of entries) visit(entry, entry);
  return chains;
}

/** Packages and Node builtins that `entry` reaches, each with the chain of files that leads there. */
export function packagesReachedFrom(graph: ImportGraph, entry: string): string[] {
  const reached: string[] = [];
  const seen = new Set<string>();
  const visit = (file: string, trail: readonly string[]) => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const target of graph.get(file) ?? []) {
      if (graph.has(target)) visit(target, [...trail, target]);
      else if (isPackage(target)) reached.push([...trail, target].join(' -> '));
    }
  };
  visit(entry, [entry]);
  return reached;
}

function isPackage(target: string): boolean {
  return isBuiltin(target) || (!target.startsWith('../') && !/\.(ts|wgsl|json)$/.test(target));
}
