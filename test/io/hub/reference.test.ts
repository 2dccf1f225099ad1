import { expect, test } from 'vitest';
import { parseHubReference } from '../../../src/io/hub/reference.ts';

test.each<[string, string, string]>([
  ['owner/name', 'owner/name', 'main'],
  ['timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k', 'timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k', 'main'],
  ['a/b@v1.0', 'a/b', 'v1.0'],
  ['a/b@refs/pr/1', 'a/b', 'refs/pr/1'],
  ['a/b@0123456789abcdef0123456789abcdef01234567', 'a/b', '0123456789abcdef0123456789abcdef01234567'],
  ['a/b@feature#1@home', 'a/b', 'feature#1@home'],
  [`${'o'.repeat(96)}/${'n'.repeat(96)}`, `${'o'.repeat(96)}/${'n'.repeat(96)}`, 'main'],
])('%s is a model of the hub', (text, repository, revision) => {
  expect(parseHubReference(text)).toEqual({ repository, revision });
});

test.each([
  '',
  'name',
  '/owner/name',
  './owner/name',
  '../name',
  'owner/..',
  'owner/.name',
  'owner/name/',
  'owner/name/more',
  'owner\\name',
  'C:/name',
  'owner/na me',
  'owner/name.git',
  'owner/na--me',
  'owner/na..me',
  '-owner/name',
  'owner/name-',
  'owner/n\u00e4me',
  `owner/${'n'.repeat(97)}`,
  '@main',
  'owner@main/name',
])('%j is none', (text) => {
  expect(parseHubReference(text)).toBeUndefined();
});

test.each([
  '',
  '..',
  '../x',
  'a/../b',
  'a..b',
  '/etc',
  'a/',
  'a//b',
  '.hidden',
  'a/.hidden',
  'a\\b',
  'a b',
  'a\nb',
  'a\x7f',
  'a~1',
  'a^',
  'a:b',
  'a?',
  'a*',
  'a[b',
  'a@{b',
  'a.lock',
  'a.lock/b',
  'a.',
  'a'.repeat(201),
])('%j is no revision', (revision) => {
  expect(() => parseHubReference(`owner/name@${revision}`)).toThrow('can be no revision of owner/name');
});
