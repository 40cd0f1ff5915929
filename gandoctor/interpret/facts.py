"""The facts of a run: what its configuration says, by the names that rules and reports use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KindOfFact = Literal["number", "integer", "flag", "word"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One name of the vocabulary.

    kind: "number" (float), "integer", "flag" (bool) or "word" (str).
    unit: of a number, "" where it has none.
    low, high: the range in which a number makes sense, both ends included.
    usual: what most code does when the configuration is silent; None where nothing is usual.
    choices: the words allowed; () where any word is.
    """

    kind: KindOfFact
    en: str
    zh: str
    unit: str = ""
    low: float = float("-inf")
    high: float = float("inf")
    usual: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers, so that `set` may reckon with it."""
        return self.kind in ("number", "integer")


_OPTIMIZERS = (
    "adam",
    "adamw",
    "rmsprop",
    "sgd",
    "sgd-momentum",
    "optimistic-adam",
    "extra-adam",
    "lookahead-adam",
    "other",
)

FACTS: dict[str, Fact] = {
    "lr_G": Fact("number", "learning rate of the generator", "生成器的学习率", low=0),
    "lr_D": Fact("number", "learning rate of the discriminator", "判别器的学习率", low=0),
    "lr_ratio": Fact("number", "lr_D / lr_G", "lr_D / lr_G，即两个学习率之比", low=0, usual=1),
    "beta1": Fact(
        "number", "Adam's β1 of both networks", "两个网络 Adam 的 β1", low=-1, high=0.9999, usual=0.9
    ),
    "beta2": Fact(
        "number", "Adam's β2 of both networks", "两个网络 Adam 的 β2", low=0, high=0.999999, usual=0.999
    ),
    "beta1_D": Fact(
        "number", "Adam's β1 of the discriminator", "判别器 Adam 的 β1", low=-1, high=0.9999, usual=0.9
    ),
    "beta1_G": Fact(
        "number", "Adam's β1 of the generator", "生成器 Adam 的 β1", low=-1, high=0.9999, usual=0.9
    ),
    "optimizer": Fact(
        "word", "optimiser of the generator, or of both", "生成器（或两个网络）的优化器", choices=_OPTIMIZERS
    ),
    "optimizer_D": Fact("word", "optimiser of the discriminator", "判别器的优化器", choices=_OPTIMIZERS),
    "batch_size": Fact("integer", "samples in a step of D", "判别器每步的批大小", "samples", low=1),
    "n_critic": Fact(
        "integer", "D steps for one round of G", "每轮中判别器更新的步数", "steps", low=1, usual=1
    ),
    "g_steps": Fact(
        "integer", "G steps for one round of D", "每轮中生成器更新的步数", "steps", low=1, usual=1
    ),
    "family": Fact(
        "word",
        "family of the adversarial loss",
        "对抗损失的类型",
        choices=(
            "minimax",
            "non-saturating",
            "lsgan",
            "hinge",
            "wgan",
            "wgan-gp",
            "relativistic",
            "unknown",
        ),
    ),
    "penalty": Fact(
        "word", "gradient penalty on D", "判别器上的梯度惩罚", choices=("none", "r1", "gp", "r1+r2")
    ),
    "penalty_weight": Fact(
        "number", "its weight: γ of R1/R2, λ of WGAN-GP", "惩罚项的权重：R1/R2 的 γ，WGAN-GP 的 λ", low=0
    ),
    "clip_value": Fact("number", "WGAN's clipping bound c of D's weights", "WGAN 权重裁剪的上限 c", low=0),
    "spectral_norm": Fact("flag", "spectral normalisation in D", "判别器是否用谱归一化"),
    "weight_decay": Fact("number", "weight decay of the optimiser", "优化器的权重衰减", low=0, usual=0),
    "label_smoothing": Fact(
        "number",
        "how far the label of reals is below 1",
        "真实样本标签比 1 低多少（标签平滑）",
        low=0,
        high=0.5,
        usual=0,
    ),
    "instance_noise": Fact(
        "number",
        "standard deviation of the noise on D's inputs, in the data's own scale",
        "判别器输入端噪声的标准差（与数据同一尺度）",
        low=0,
        usual=0,
    ),
    "dropout_D": Fact("number", "dropout rate in D", "判别器的 dropout 比例", low=0, high=0.95, usual=0),
    "augmentation": Fact(
        "word",
        "augmentation of what D sees",
        "判别器所见数据的增强方式",
        choices=("none", "flips", "reals-only", "diffaugment", "ada"),
    ),
    "amp": Fact("flag", "automatic mixed precision", "是否用自动混合精度"),
    "precision": Fact(
        "word",
        "number format of forward and backward",
        "前向和反向的数值精度",
        choices=("fp32", "tf32", "bf16", "fp16"),
    ),
    "batch_norm_D": Fact("flag", "batch normalisation in D", "判别器是否用批归一化"),
    "batch_norm_G": Fact("flag", "batch normalisation in G", "生成器是否用批归一化"),
    "conditional": Fact(
        "flag",
        "image-to-image or another model whose G also has a content loss",
        "图像翻译等模型：生成器另有内容损失",
    ),
    "n_subdiscriminators": Fact(
        "integer", "discriminators summed in the loss", "损失中相加的子判别器个数", low=1, usual=1
    ),
    "adversarial_weight": Fact(
        "number", "weight of G's adversarial term", "生成器对抗项的权重", low=0, usual=1
    ),
    "d_start_step": Fact(
        "integer", "the step at which D starts", "判别器开始训练的步数", "steps", low=0, usual=0
    ),
    "packing": Fact(
        "integer", "samples that D sees at once (PacGAN)", "判别器一次看的样本数（PacGAN）", low=1, usual=1
    ),
    "ema": Fact("flag", "a moving average of G's weights for evaluation", "评估时是否用生成器权重的滑动平均"),
    "parameters_G": Fact("integer", "weights and biases of the generator", "生成器的参数个数", low=1),
    "parameters_D": Fact("integer", "weights and biases of the discriminator", "判别器的参数个数", low=1),
    "capacity_ratio": Fact("number", "parameters of D / of G", "判别器与生成器参数个数之比", low=0),
    "ema_decay": Fact(
        "number",
        "decay of the moving average of G's weights, a step",
        "生成器权重滑动平均每步的衰减系数",
        low=0,
        high=1,
    ),
    "z_dim": Fact("integer", "dimensions of the latent z", "隐变量 z 的维数", low=1),
    "grad_clip": Fact(
        "number", "gradient clipping by norm; 0 is none", "梯度范数裁剪的上限；0 为不裁剪", low=0, usual=0
    ),
    "activation_output": Fact(
        "word", "last activation of G", "生成器最后一层的激活函数", choices=("tanh", "sigmoid", "none")
    ),
    "steps": Fact("integer", "planned length of the run", "计划的训练步数", "steps", low=1),
    "data": Fact("word", "the data set", "数据集"),
    "lr_schedule": Fact(
        "word",
        "schedule of the learning rates",
        "学习率的调度方式",
        choices=("constant", "linear", "cosine", "step", "exponential", "warmup", "plateau", "other"),
    ),
}
