"""Installs semad; `pip install -e .` is enough to run it, `.[test]` to test it."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

# `experiments/matrix.sh` runs the tests with the lower ends and with the newest releases inside the
# upper ones; others may do, but nobody has tried.
REQUIRES = [
    "absl-py>=2.5,<3",
    "filelock>=4.3.1,<5",
    "flatbuffers>=25.12.19,<26",  # jax.export serialises with it
    "flax>=0.12.8,<0.13",
    "imagecodecs>=2026.3.6,<2027",  # every compression that tifffile meets; PNGs of 16-bit colour
    "jax>=0.10.2,<0.13",
    "jaxlib>=0.10.2,<0.13",
    "jinja2>=3.1,<4",
    "matplotlib>=3.11,<4",
    "ml-collections>=1.1,<2",
    "numpy>=2.4.1,<3",
    "optax>=0.2.8,<0.3",
    "orbax-checkpoint>=0.12.8,<0.13",
    "pillow>=13,<14",
    "psutil>=7.2,<8",  # memory that is free, processes that live
    "scikit-image>=0.26,<0.27",
    "scikit-learn>=1.9,<2",
    "scipy>=1.17,<2",
    "tensorboardX>=2.6.5,<3",
    "tifffile>=2026.3.3,<2027",
    "tqdm>=4.70,<5",
]
# What jax's own extra takes along: CUDA, cuDNN and NCCL as wheels; of NVIDIA the driver is needed.
CUDA = ["jax[cuda13]>=0.10.2,<0.13"]
DOCS = [line for line in (ROOT / "docs/requirements.txt").read_text().splitlines() if line]
IMAGEJ = ["roifile>=2026.2.10,<2027"]
BACKBONE = ["safetensors>=0.8,<0.9"]  # --config.model.backbone
ONNX = ["onnx>=1.23,<2", "onnxruntime>=1.32,<2"]
TFDS = ["tensorflow-datasets>=4.9.10,<5", "importlib_resources>=7.1,<8"]
TEST = [
    "hypothesis>=6.170,<7",
    *BACKBONE,
    *IMAGEJ,
    "mypy>=2.3,<3",
    *ONNX,
    "ome-types>=0.7,<0.8",  # reads again what OME-TIFFs say
    "playwright>=1.65,<2",  # reports are opened in Chromium, where there is one
    "pycocotools>=2.0.11,<3",  # reads again what is written as COCO
    "pytest>=9.2,<10",
    "pytest-xdist>=3.8,<4",
    "ruff>=0.17.6,<0.18",
    "setuptools>=77.0.3",  # tests/test_wheel.py builds with it
]

setup(
    name="semad",
    version="0.1.0",
    description="Defects in SEM images, found by generative adversarial networks in JAX/Flax",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["anomaly detection", "GAN", "JAX", "scanning electron microscopy", "SEM"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Manufacturing",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    packages=[*find_packages(include=["semad", "semad.*"]), "semad.configs"],
    package_dir={"semad.configs": "configs"},  # configs/ stays at the top, and is installed
    entry_points={
        "console_scripts": ["semad = semad.cli:main"],
        "napari.manifest": ["semad = semad.inference:napari.yaml"],
    },
    package_data={
        "semad": ["py.typed"],
        "semad.data.sources": ["*.sha256"],
        "semad.inference": ["napari.yaml"],
        "semad.reports": ["templates/*"],
    },
    install_requires=REQUIRES + TFDS,
    extras_require={
        "test": TEST,
        "cuda": CUDA,
        "docs": DOCS,
        "prepare": ["tensorflow>=2.18,<3"],  # TFDS prepares a data set anew with it
        "slurm": ["submitit>=1.5,<2"],  # experiments/sweep.py starts jobs through it
        "mutation": ["mutmut>=3.8.1,<4"],  # experiments/mutation.py
        "backbone": BACKBONE,
        "imagej": IMAGEJ,  # --config.score.formats=imagej
        "onnx": ONNX,  # --mode export --format onnx
        "bench": ["torch>=2.13,<3"],  # experiments/benchmarks/peers
    },
)
