"""The pictures of retrieval, of one run or several side by side; each says how its examples were chosen."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from mmgl_tf.modes.saved_run import run_figures, run_settings
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE
from mmgl_tf.retrieval.protocols import evaluate, gallery_draws, settings_of
from mmgl_tf.retrieval.ranking import distance_block
from mmgl_tf.run_directory import RunDirectory
from mmgl_tf.visualization.accuracy_over_epochs import accuracy_over_epochs
from mmgl_tf.visualization.activation_maps import activation_maps
from mmgl_tf.visualization.curves import training_curves
from mmgl_tf.visualization.embedding_map import embedding_map
from mmgl_tf.visualization.grid import write_png
from mmgl_tf.visualization.match_curves import match_curves
from mmgl_tf.visualization.projector import write_projector
from mmgl_tf.visualization.ranked_lists import describe, ranked_lists
from mmgl_tf.visualization.selection import random_choice

LISTED = 10  # gallery images of a ranked list, as in the paper's Figure 5
SHOWN_PEOPLE = 6  # on the sheet of activation maps
PROJECTED = 1000  # images in TensorBoard's projector


class RetrievalPictures:
    """Draws and writes them.

    Args:
        config: `mmgl_tf.flags.config.Config` of the first run, for the number of examples and the seed.
        images: `mmgl_tf.modes.evaluation.network_embeddings.EvaluationImages`.
        protocol, rules: of `evaluation_rules.evaluation_rules`; pictures show what tables count.
        root: directory; pictures/ and tensorboard/ are made in it.
    """

    def __init__(self, config, images, protocol, rules, root):
        self.options = config.evaluation
        self.seed = config.run.seed
        self.dataset = config.data.dataset
        self.images = images
        # RegDB's trials are other people; a trial of SYSU-MM01 is another draw from the same gallery.
        trial = f", trial {config.data.trial}" if protocol.name == "regdb" else ""
        self.shown = f"{images.name}{trial}"
        self.protocol, self.rules = protocol, rules
        self.setting = settings_of(protocol)[0]
        self.root = Path(root)
        self.writer = tf.summary.create_file_writer(str(self.root / "tensorboard"))

    def write(self, networks, before, runs):
        """Write every picture.

        Args:
            networks: list of `NetworkEmbeddings`, one a run.
            before: list of `NetworkEmbeddings` or None, what each started from.
            runs: {name: run directory}, for the curves.

        Returns:
            Paths of the PNG files.
        """
        pictures = {"embedding_map": self.embedding_map(networks, before)}
        pictures["match_curves"] = self.match_curves(networks)
        for number, network in enumerate(networks):
            end = f"_{number + 1}" if len(networks) > 1 else ""
            pictures[f"ranked_lists{end}"] = self.ranked_lists(network)
            pictures[f"activation_maps{end}"] = self.activation_maps(network)
        pictures |= self.curves(runs)
        paths = []
        for name, picture in pictures.items():
            paths.append(self.root / "pictures" / f"{name}.png")
            write_png(picture, paths[-1])
            with self.writer.as_default(step=0):
                tf.summary.image(f"retrieval/{name}", picture[None])
        self.writer.flush()
        self.projector(networks[0])
        return paths

    def embedding_map(self, networks, before):
        """t-SNE of both modalities of some people, before and after fine-tuning (paper Figures 3 and 4)."""
        identities = {m: networks[0].found[m].identities for m in (VISIBLE, INFRARED)}
        both = np.intersect1d(identities[VISIBLE], identities[INFRARED])
        people, rule = random_choice(both, self.options.shown_identities, seed=self.seed, noun="people")
        rows = {m: np.flatnonzero(np.isin(found, people)) for m, found in identities.items()}
        panels = {}
        for network, start in zip(networks, before, strict=True):
            alone = len(networks) == 1
            if start is not None:
                title = start.name if alone else f"{network.name}: {start.name}"
                panels[title] = tuple(start.found[m].features[rows[m]] for m in (VISIBLE, INFRARED))
            title = f"{network.name}, fine-tuned" if start is not None else network.name
            panels[title] = tuple(network.found[m].features[rows[m]] for m in (VISIBLE, INFRARED))
        return embedding_map(
            panels,
            identities[VISIBLE][rows[VISIBLE]],
            identities[INFRARED][rows[INFRARED]],
            split=self.shown,
            selection=rule,
            seed=self.seed,
        )

    def match_curves(self, networks):
        """Cumulative match curves of the runs, in the protocol's first setting."""
        results = {
            network.name: evaluate(*self._sides(network), self.protocol, *self.setting, **self.rules)
            for network in networks
        }
        counted = self._counted(next(iter(results.values())))
        weights = " and ".join(sorted({network.weights for network in networks}))
        return match_curves(
            {name: result.cmc() for name, result in results.items()},
            protocol=f"{self.shown}; {self._said()}; {counted}; {weights} weights",
            mean_average_precisions={name: result.mean("mAP") for name, result in results.items()},
        )

    def ranked_lists(self, network):
        """What random queries find first in the gallery of trial 0 (paper Figure 5)."""
        query, gallery = self._sides(network)
        drawn = gallery_draws(
            gallery.identities,
            gallery.cameras,
            self.protocol,
            self.setting.search,
            self.setting.shots,
            self.rules["draw"],
            permutations=self.rules["permutations"],
        )[0]
        chosen, rule = random_choice(
            np.arange(len(query)), self.options.shown_queries, seed=self.seed, noun="queries"
        )
        pictures, right, captions, firsts = [], [], [], []
        for number in chosen.tolist():
            excluded = self.protocol.excluded_cameras.get(int(query.cameras[number]), ())
            kept = drawn[~np.isin(gallery.cameras[drawn], excluded)]
            (far,) = distance_block(query, [number], gallery.take(kept))
            order = kept[np.argsort(far, kind="stable")]
            same = gallery.identities[order] == query.identities[number]
            firsts.append(int(np.argmax(same)) + 1 if same.any() else 0)
            top = order[:LISTED].tolist()
            pictures.append([self.images.pixels(self.images.gallery, i) for i in top])
            right.append(same[: len(top)])
            captions.append([describe(gallery.identities[i], gallery.cameras[i]) for i in top])
        shortest = min(map(len, pictures))
        said = [self._said(), "" if self.protocol.gallery_draw == "all" else "gallery of trial 0"]
        said += [f"{len(drawn)} gallery images", "before re-ranking" if self.rules["rerank"] else ""]
        return ranked_lists(
            np.stack([self.images.pixels(self.images.query, i) for i in chosen.tolist()]),
            np.stack([np.stack(row[:shortest]) for row in pictures]),
            np.stack([row[:shortest] for row in right]),
            [describe(query.identities[i], query.cameras[i]) for i in chosen.tolist()],
            [row[:shortest] for row in captions],
            split=f"{self.shown}; {', '.join(filter(None, said))}",
            rule=rule,
            first_right=np.array(firsts),
            title=f"What is found first: {network.name}",
        )

    def activation_maps(self, network):
        """Where the feature map is strong, in both modalities of some people."""
        identities = {m: network.found[m].identities for m in (VISIBLE, INFRARED)}
        both = np.intersect1d(identities[VISIBLE], identities[INFRARED])
        people, rule = random_choice(both, SHOWN_PEOPLE, seed=self.seed, noun="people")
        first = {m: [int(np.argmax(identities[m] == person)) for person in people] for m in identities}
        shown = {m: np.stack([self.images.pixels(m, i) for i in first[m]]) for m in first}
        maps = {m: network.feature_maps(self.images, m, first[m]) for m in first}
        return activation_maps(
            shown[VISIBLE],
            shown[INFRARED],
            maps[VISIBLE],
            maps[INFRARED],
            [f"person {person}" for person in people],
            split=self.shown,
            rule=f"{rule}; the first image of each modality",
            title=f"Where the feature map is strong: {network.name}",
        )

    def curves(self, runs):
        """Training curves, and Rank-1 over epochs where validation identities were looked for."""
        rows = {name: RunDirectory(directory).read_metrics() for name, directory in runs.items()}
        rows = {name: found for name, found in rows.items() if found}
        pictures = {}
        if rows:
            known = dict.fromkeys(figure for name in rows for figure in run_figures(runs[name]))
            pictures["training_curves"] = training_curves(rows, tuple(known))
        searched = {
            name: found for name, found in rows.items() if any("validation/rank1" in row for row in found)
        }
        if searched:
            pictures["accuracy_over_epochs"] = accuracy_over_epochs(
                searched, note=self._validated({runs[name] for name in searched})
            )
        return pictures

    def projector(self, network):
        """Files for TensorBoard's embedding projector, with thumbnails."""
        sides = {m: network.found[m] for m in (VISIBLE, INFRARED)}
        people = np.unique(np.concatenate([side.identities for side in sides.values()]))
        each = sum(len(side) for side in sides.values()) / len(people)
        chosen, _ = random_choice(people, max(2, int(PROJECTED / each)), seed=self.seed, noun="people")
        features, metadata, thumbnails = [], [], []
        for modality, side in sides.items():
            rows = np.flatnonzero(np.isin(side.identities, chosen))
            features.append(side.features[rows])
            thumbnails += [self.images.pixels(modality, i) for i in rows.tolist()]
            metadata += [
                {
                    "identity": int(side.identities[i]),
                    "modality": MODALITIES[modality],
                    "camera": int(side.cameras[i]) if side.cameras[i] >= 0 else "unknown",
                }
                for i in rows.tolist()
            ]
        write_projector(
            self.root / "tensorboard",
            np.concatenate(features),
            metadata,
            np.stack(thumbnails),
            name=network.feature,
        )

    def _sides(self, network):
        return network.found[self.images.query], network.found[self.images.gallery]

    def _said(self):
        search, shots, direction = self.setting
        words = [f"{search} search" if search else "whole gallery", f"{shots}-shot" if shots else ""]
        return ", ".join([*filter(None, words), direction.replace("_", " ")])

    def _validated(self, directories):
        """What validation figures of runs were measured on: a run may be tested on another data set."""
        trained = sorted({run_settings(directory)["dataset"] for directory in directories})
        same = f", {self._said()}" if trained == [self.dataset] else ""
        return f"Validation people of {' and '.join(trained)}{same}."

    def _counted(self, result):
        """How a match curve came about, in words."""
        words = {"seeded": "seeded", "official": "published"}
        parts = [
            f"mean of {result.trials} {words[result.draw]} gallery draws" if result.draw in words else "",
            f"each gallery {'identity' if self.protocol.identity_once else 'image'} counts as a place",
            "flip averaged" if self.options.flip else "",
            "Euclidean distances" if self.options.distance == "euclidean" else "",
            "k-reciprocal re-ranking" if result.rerank else "",
        ]
        return ", ".join(filter(None, parts))
