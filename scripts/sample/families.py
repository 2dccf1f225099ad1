"""What the two samples do not share: network, folder, config.json, and where the training asks its patch tokens."""
import os
from collections import namedtuple

import draw
import model
import preprocess
import swin

# workers: training processes of one thread. epochs: how many of the schedule's 20 are run. dense: the block output whose last 64
# tokens are the patches of 8 x 8 pixels, of dense_width features.
Family = namedtuple('Family', 'network folder workers epochs dense dense_width architecture features global_pool model_args work')


def sample_folder(name):
    return os.path.join(os.path.dirname(draw.sample_folder()), name)


FAMILIES = {
    'vit': Family(
        network=model.VisionTransformer,
        folder=draw.sample_folder(),
        workers=3,
        epochs=20,
        dense=f'blocks.{model.DEPTH - 1}.output',
        dense_width=model.EMBED_DIM,
        architecture='deit_tiny_patch16_224',
        features=model.EMBED_DIM,
        global_pool='token',
        model_args={
            'patch_size': model.PATCH_SIZE,
            'embed_dim': model.EMBED_DIM,
            'depth': model.DEPTH,
            'num_heads': model.NUM_HEADS,
            'img_size': model.IMAGE_SIZE,
        },
        work=model.multiply_accumulates,
    ),
    'swin': Family(
        network=swin.SwinTransformer,
        folder=sample_folder('sample-swin'),
        workers=2,
        epochs=16,
        dense='layers.1.blocks.1.output',
        dense_width=2 * swin.EMBED_DIM,
        architecture='swin_tiny_patch4_window7_224',
        features=swin.EMBED_DIM * 2 ** (len(swin.DEPTHS) - 1),
        global_pool='avg',
        model_args={
            'patch_size': swin.PATCH_SIZE,
            'embed_dim': swin.EMBED_DIM,
            'depths': list(swin.DEPTHS),
            'num_heads': list(swin.NUM_HEADS),
            'window_size': swin.WINDOW,
            'img_size': swin.IMAGE_SIZE,
        },
        work=swin.multiply_accumulates,
    ),
}


def config(family):
    """config.json in timm's form."""
    classes = len(draw.LABELS)
    return {
        'architecture': family.architecture,
        'num_classes': classes,
        'num_features': family.features,
        'global_pool': family.global_pool,
        'model_args': family.model_args,
        'pretrained_cfg': {
            'input_size': [3, preprocess.CROP, preprocess.CROP],
            'fixed_input_size': True,
            'interpolation': 'bicubic',
            'crop_pct': preprocess.CROP_PCT,
            'crop_mode': 'center',
            'mean': list(preprocess.MEAN),
            'std': list(preprocess.STD),
            'num_classes': classes,
            'pool_size': None,
            'first_conv': 'patch_embed.proj',
            'classifier': 'head',
            'label_names': draw.LABELS,
            'license': 'apache-2.0',
        },
    }
