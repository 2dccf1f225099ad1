import tseslint from 'typescript-eslint';

/** What the page may not import of src/: all but the public library and the charts. */
const INSIDE = String.raw`/\/src\/(?!(?:index|browser)\.ts$|report\/)/`;
const IMPORTING = [
  'ImportDeclaration',
  'ExportNamedDeclaration',
  'ExportAllDeclaration',
  'ImportExpression',
  'TSImportType',
];

export default tseslint.config(
  { ignores: ['dist/', 'out/', 'node_modules/', 'scripts/', 'bin/', 'eslint.config.js'] },
  ...tseslint.configs.recommendedTypeChecked,
  { languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } } },
  {
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  {
    files: ['demo/**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        ...IMPORTING.map((node) => ({
          selector: `${node}[source.value=${INSIDE}]`,
          message: 'The page imports src/index.ts, src/browser.ts and src/report alone.',
        })),
      ],
    },
  },
);
