"""What all configurations share, in the order in which data walks.

Imports nothing from bmjax: a configuration is numbers with their sources.
"""

import ml_collections

# Mean and deviation of the release's channels (authors' code, transformations.py).
MEAN = (0.56303613, 0.49592108, 0.73533199)
STD = (0.24209296, 0.28346966, 0.17672639)


def base() -> ml_collections.ConfigDict:
    """Return what does not depend on the method, with the paper's values."""
    config = ml_collections.ConfigDict()
    config.seed = 0

    config.data = data = ml_collections.ConfigDict()
    data.root = ""  # folder of [one folder/]CLASS/**/image
    data.synthetic_images = 0  # with no root: so many synthetic cells, made in workdir
    data.split = "holdout"  # paper, Table 4: one 80/20 split; kfold, blocks, dinobloom
    # or a CSV of path,part or path,group, or a folder of lists
    data.fold = 0  # 0 to 4 of kfold, blocks and groups
    data.split_seed = 42  # authors' code; the same split whatever `seed` is
    data.pretrain_on = "train"  # or all: test images too, without labels (transductive;
    # the paper writes N = |D|); methods that use no labels alone
    data.validation_share = 0.0  # of the training part, kept to judge by; 0: none; ours
    data.exclude = ()  # class folders to leave out
    data.labels = ""  # a CSV of path,label that corrects the folders' labels
    data.size = 250  # pixels; the release's own size
    data.resize = "area"  # of images of another size; ours. bilinear, bicubic, lanczos
    # are Pillow's
    data.batch_size = 256  # paper, section 4
    data.sampling = "natural"  # or balanced (with replacement), cycle, sqrt, effective
    data.per_class = 10_000  # draws a class and epoch, balanced or cycle; authors' code
    data.couples = False  # two images of a class together: no SupCon anchor is alone
    data.bad_share = 0.001  # of the training images may be unreadable; ours
    data.mean = MEAN
    data.std = STD
    data.threads = 8  # that decode, in each process
    data.workers = 0  # processes that decode; 0: threads of this one
    data.prefetch = 8  # batches held ready, in each process; no fewer than threads

    config.augment = augment = ml_collections.ConfigDict()
    augment.large = 2  # views an image
    augment.large_size = data.get_ref("size") * 224 // 250  # swav: 224 px
    augment.large_scale = (0.14, 1.0)  # share of the area; swav, 200 epochs, batch 256
    augment.small = 0  # small views; swav's multi-crop has 6, the paper none
    augment.small_size = data.get_ref("size") * 96 // 250  # swav: 96 px
    augment.small_scale = (0.05, 0.14)  # swav
    augment.flip_horizontal = 0.5  # paper: random flipping
    augment.flip_vertical = 0.5  # a smear has no upside
    augment.jitter = 0.8  # probability; paper: color jitter in HSV; strengths: swav
    augment.hue = 0.2  # turns; swav
    augment.saturation = 0.8  # swav
    augment.value = 0.8  # swav's brightness
    augment.grayscale = 0.0  # swav has 0.2; here the stain is the signal
    augment.blur = 0.0  # swav has 0.5; the paper names none
    augment.blur_sigma = (0.1, 2.0)  # pixels; swav
    augment.stain = 0.0  # probability; after Tellez et al. 2019, in configs/matek.py
    augment.stain_strength = 0.05  # Tellez et al., "HED-light"

    config.model = ml_collections.ConfigDict()
    config.model.name = "resnet50"  # any of bmjax/models/families.py
    config.model.head = "classifier"  # or a projection: "linear", "mlp", "mlp_bn"
    config.model.lineages = ""  # of a classifier: "matek", or a CSV of class,lineage:
    # p(class) = p(lineage) p(class | lineage), as HemaHier
    config.model.embedding_dim = 128
    config.model.hidden_dim = 0  # of an MLP head; 0: as wide as the features
    config.model.convolutions = "auto"  # "xla" or "matmul" to force one lowering
    config.model.dtype = "float32"  # of the backbone's activations; or "bfloat16"
    config.model.remat = False  # keep less for the backward pass, compute a third more
    # Vision transformers; docs/models.md. "auto": the network's own.
    # Tokens to features: "cls", "patch_mean", "cls_patch_mean", or "cls4_patch_mean".
    config.model.pooling = "auto"
    config.model.interpolation = "auto"  # "offset", "size_antialias" or "size"
    config.model.drop_path = 0.0  # of a branch; dinov2 and dinov3 train with 0.3

    config.lora = ml_collections.ConfigDict()  # adapters beside a frozen backbone
    config.lora.rank = 0  # 0: none
    config.lora.alpha = 128.0  # HemaHier, with rank 16
    config.lora.layers = ("qkv",)  # ours: dense layers of a vision transformer by name

    config.method = ml_collections.ConfigDict()

    config.optim = optim = ml_collections.ConfigDict()
    optim.name = "sgd"  # or "adamw"
    optim.learning_rate = 0.1
    optim.final_learning_rate = 0.0
    optim.warmup = "0 epochs"
    optim.warmup_start = 0.0
    optim.momentum = 0.9
    optim.weight_decay = 1e-6
    # Another value: the decay goes there along half a cosine (dino: 0.04 to 0.4).
    optim.final_weight_decay = optim.get_ref("weight_decay") * 1
    optim.hold = "1 step"  # how long the rate stays; "1 epoch": stepped by epoch
    optim.larc_trust = 0.0  # 0: plain SGD
    optim.betas = (0.9, 0.999)  # of adamw; torch's
    optim.clip_norm = 0.0  # largest length of the whole gradient; 0: any
    optim.clip_each = False  # True: of each array's gradient, as dino
    optim.layer_decay = 1.0  # factor of the rate, a layer down; vision transformers
    optim.freeze_prototypes = "0 epochs"
    optim.freeze_backbone = "0 epochs"

    config.train = ml_collections.ConfigDict()
    config.train.duration = "100 epochs"
    config.train.accumulate = 1  # chunks a batch is embedded in, to fit a small device
    # How many steps may be skipped whose numbers are not finite; 0: one stops the run.
    config.train.skip_non_finite = 0
    # Of float32 products on an accelerator: "default" is jax's (TF32 on an NVIDIA A100
    # or newer), or "tensorfloat32", or "float32".
    config.train.precision = "default"

    config.init_from = ""  # a run's workdir, or a file of weights (.safetensors, .pth)
    config.init_new_classifier = False  # True: do not take the classifier from there
    config.init_other_preprocessing = False  # True: normalize otherwise than they want

    config.mesh = ml_collections.ConfigDict()
    config.mesh.devices = 0  # 0: all there are
    # Of several processes (docs/cluster.md); srun and mpirun say the same unasked.
    config.mesh.coordinator = ""  # HOST:PORT of process 0
    config.mesh.processes = 0  # how many; 1: this one alone, whatever a launcher says
    config.mesh.process = -1  # number of this one, from 0
    config.mesh.heartbeat = 100  # seconds of silence after which one counts as gone

    config.checkpoint = ml_collections.ConfigDict()
    config.checkpoint.every = "1 epoch"
    config.checkpoint.keep_every = "0 steps"  # these are never deleted; 0: none
    config.checkpoint.best = ""  # a validation metric, as "knn_20/macro_f1": the step
    # that is best by it is kept, and evaluated instead of the last

    config.validation = ml_collections.ConfigDict()
    config.validation.every = "0 steps"  # 0: not during the training
    config.validation.images = (
        5000  # training images at most that its probes learn; ours
    )
    config.validation.logistic_iterations = 200  # at most; ours: seconds, not minutes

    config.logs = ml_collections.ConfigDict()
    config.logs.every = "50 steps"

    config.probe = probe = ml_collections.ConfigDict()
    probe.epochs = 100  # paper's notebooks: linear_epoch=99
    probe.batch_size = 256  # swav, eval_linear.py: 8 GPUs x 32
    probe.learning_rate = 0.3  # eval_linear.py
    probe.momentum = 0.9  # eval_linear.py
    probe.weight_decay = 1e-6  # eval_linear.py
    probe.standardize = False  # eval_linear.py takes features as they are
    probe.sampling = "natural"  # or "balanced"
    probe.augmented_passes = 0  # passes over augmented training images instead of plain
    probe.validation_share = 0.2  # of the training images, for the temperature; ours
    probe.logistic_strength = 0.0  # 0: features x classes / 100, as DinoBloom
    probe.logistic_iterations = 1000  # DinoBloom
    probe.logistic_images = 0  # training images at most; 0: all, as DinoBloom
    probe.protocol = "none"  # or "dinobloom": its readout too, beside these probes
    probe.protocol_gradient = 1e-5  # at which its regression ends, relative; ours
    probe.protocol_iterations = 5000  # at most; ours: DinoBloom's 1000 may not suffice

    config.tsne = ml_collections.ConfigDict()
    config.tsne.images = 3000  # ours: what a page shows legibly
    config.tsne.perplexity = 30.0  # scikit-learn's; the paper gives none

    config.saliency = ml_collections.ConfigDict()
    config.saliency.images = 12  # most confident mistakes that are mapped; ours
    return config


def synthetic(config: ml_collections.ConfigDict, images: int, size: int) -> None:
    """Put synthetic cells in the place of a data folder.

    Their channels' moments are not the release's, but the difference is a shift and a
    scale that the first batch norm takes away.
    """
    config.data.synthetic_images = images
    config.data.size = size
    config.augment.large_size = config.data.get_ref("size") * 1
    config.augment.small_size = config.data.get_ref("size") // 2
    config.data.threads = 2
    config.logs.every = "10 steps"
    config.tsne.images = 1500
    # Few probe steps, so that one learning rate has to suit any network (ours).
    config.probe.standardize = True


def imagenet(config: ml_collections.ConfigDict, size: int) -> None:
    """Prepare images as most published encoders want them, whole and of one size."""
    config.data.size = size
    config.data.mean = (0.485, 0.456, 0.406)  # torchvision, transforms/_presets.py
    config.data.std = (0.229, 0.224, 0.225)  # likewise
    config.augment.large_size = config.data.get_ref("size") * 1


def smoke(config: ml_collections.ConfigDict) -> None:
    """Shrink everything to seconds: for tests."""
    synthetic(config, images=230, size=32)
    config.data.batch_size = 16
    config.model.name = "resnet_tiny"
    config.model.embedding_dim = 16
    config.train.duration = "2 steps"
    config.checkpoint.every = "1 step"
    config.logs.every = "1 step"
    config.probe.epochs = 2
    config.tsne.images = 60
    config.saliency.images = 0


def variants(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the variants asked for, "a,b" or none; an unknown one is an error."""
    asked = tuple(text.split(",")) if text else ()
    for variant in asked:
        if variant not in known:
            raise ValueError(
                f'variant "{variant}" is unknown; use one of: none, {", ".join(known)}'
            )
    return asked
