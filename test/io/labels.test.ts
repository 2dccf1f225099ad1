import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseCsv } from '../../src/io/csv.ts';
import { FormatError } from '../../src/io/errors.ts';
import { parseLabels } from '../../src/io/labels.ts';

const labelsOf = (text: string | Uint8Array, files?: string[]) => [
  ...parseLabels(text, 'labels.csv', files === undefined ? { numClasses: 10 } : { numClasses: 10, files }),
];

test('reads plain, quoted, CRLF and marked files alike', () => {
  const expected = [
    ['a.jpg', 3],
    ['b, "c".png', 0],
    ['d\ne.png', 9],
  ];
  const text = 'file,label\na.jpg,3\n"b, ""c"".png",0\n"d\ne.png","9"';
  expect(labelsOf(text)).toEqual(expected);
  expect(labelsOf(`${text}\n`)).toEqual(expected);
  expect(labelsOf(new TextEncoder().encode(`\ufeff${text}\n\n`))).toEqual(expected);
  expect(labelsOf('\ufefffile,label\r\na.jpg,3\r\n\r\n"b, ""c"".png",0\r\n')).toEqual(expected.slice(0, 2));
  expect(labelsOf('file,label\n')).toEqual([]);
  expect(labelsOf('file,label\n__proto__,1\n', ['__proto__'])).toEqual([['__proto__', 1]]);
});

test.each<[string, string | Uint8Array, RegExp]>([
  ['nothing', '', /line 1: the header must be "file,label", not nothing/],
  ['another header', 'name,class\na,1', /line 1: the header must be "file,label", not "name,class"/],
  ['no header', 'a.jpg,3\n', /not "a.jpg,3"/],
  ['a field too few', 'file,label\na.jpg', /line 2: 1 fields, expected 2/],
  ['a field too many', 'file,label\na.jpg,3,4', /line 2: 3 fields/],
  ['a label one past the last', 'file,label\na.jpg,10', /line 2: label "10" of "a.jpg" is not an integer from 0 to 9/],
  ['a negative label', 'file,label\na.jpg,-1', /label "-1"/],
  ['a fraction', 'file,label\na.jpg,1.5', /label "1.5"/],
  ['an exponent', 'file,label\na.jpg,1e0', /label "1e0"/],
  ['a name for a label', 'file,label\na.jpg,cat', /label "cat"/],
  ['no label', 'file,label\na.jpg,', /label ""/],
  ['a space', 'file,label\na.jpg, 1', /label " 1"/],
  ['many digits', `file,label\na.jpg,${'0'.repeat(30)}`, /label "000/],
  [
    'a name twice, after a quoted line break',
    'file,label\n"x\r\ny",1\na.jpg,1\na.jpg,1',
    /line 5: "a.jpg" is labelled a second time/,
  ],
  ['an unknown file', 'file,label\na.jpg,1\nb.jpg,2', /line 3: there is no image "b.jpg"/],
  ['an open quote', 'file,label\na.jpg,1\n"b.jpg,1\n', /line 3: a quote/],
  ['text after a quote', 'file,label\n"a"b,1\n', /line 2: a quote/],
  ['a quote inside plain text', 'file,label\na"b,1\n', /line 2: a quote/],
  ['bytes that are not UTF-8', Uint8Array.of(0x66, 0xff), /not UTF-8 text/],
])('refuses %s', (_, text, message) => {
  const read = () => labelsOf(text, ['a.jpg', 'x\r\ny']);
  expect(read).toThrow(FormatError);
  expect(read).toThrow(message);
  expect(read).toThrow(/^labels\.csv: /);
});

test('any fields that are written by the rules are read back', () => {
  const field = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' ', 'é') });
  fc.assert(
    fc.property(
      fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { maxLength: 6 }),
      fc.constantFrom('\n', '\r\n'),
      (rows, lineEnd) => {
        const text = rows.map((row) => row.map((value) => `"${value.replaceAll('"', '""')}"`).join(',')).join(lineEnd);
        expect(parseCsv(text, 'x').map(({ fields }) => fields)).toEqual(rows);
      },
    ),
    { seed: 5, numRuns: 500 },
  );
});

test('a long quoted field is read in linear time', () => {
  const long = '""'.repeat(2_000_000);
  expect(parseCsv(`"${long}"`, 'x')[0]?.fields[0]?.length).toBe(2_000_000);
});
