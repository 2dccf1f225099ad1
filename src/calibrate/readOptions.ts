import type { JsonReader } from '../io/jsonReader.ts';
import { OPTION_FIELDS, PRESET_NAMES, type CalibrationOptions, type LayerOptions, type LayerRule } from './options.ts';

type FieldName = keyof typeof OPTION_FIELDS;

const FIELD_NAMES = Object.keys(OPTION_FIELDS) as FieldName[];
const LAYER_FIELD_NAMES = FIELD_NAMES.filter((name) => OPTION_FIELDS[name].perLayer);

/** The `options` of a recipe: all of them are there. */
export function readOptions(options: JsonReader): CalibrationOptions {
  return {
    preset: options.field('preset').word(PRESET_NAMES),
    ...(readFields(options, FIELD_NAMES, true) as unknown as LayerOptions),
    layers: readRules(options.field('layers')),
  };
}

/** A settings file: some options, and rules for layers; unknown ones are refused by name. */
export function readSettings(settings: JsonReader): Partial<Omit<CalibrationOptions, 'preset'>> {
  settings.only([...FIELD_NAMES, 'layers']);
  const layers = settings.field('layers');
  return {
    ...readFields(settings, FIELD_NAMES, false),
    ...(layers.value === undefined ? {} : { layers: readRules(layers) }),
  };
}

function readRules(rules: JsonReader): LayerRule[] {
  return rules.items().map((rule) => {
    rule.only(['pattern', 'options']);
    const options = rule.field('options');
    options.only(LAYER_FIELD_NAMES);
    return {
      pattern: rule.field('pattern').text(),
      options: readFields(options, LAYER_FIELD_NAMES, false),
    };
  });
}

function readFields(
  reader: JsonReader,
  names: readonly FieldName[],
  required: boolean,
): Record<string, string | number> {
  const values: Record<string, string | number> = {};
  for (const name of names) {
    const value = reader.field(name);
    if (value.value === undefined && !required) continue;
    const field = OPTION_FIELDS[name];
    switch (field.kind) {
      case 'word':
        values[name] = value.word<string>(field.words);
        break;
      case 'integer':
        values[name] = value.integer(field.low, field.high);
        break;
      case 'number':
        values[name] = value.number(field.low, field.high);
        break;
    }
  }
  return values;
}
