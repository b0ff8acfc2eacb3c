package org.pretrain4j.launch;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.Checkpoint;
import org.pretrain4j.checkpoints.CheckpointStore;
import org.pretrain4j.checkpoints.DamagedCheckpointException;
import org.pretrain4j.checkpoints.FlatLayout;
import org.pretrain4j.configuration.UserException;
import org.pretrain4j.data.shards.BlockCache;
import org.pretrain4j.data.shards.Manifest;
import org.pretrain4j.data.shards.ShardEntry;
import org.pretrain4j.data.shards.ShardedDataset;
import org.pretrain4j.data.shards.TokenizerIdentity;
import org.pretrain4j.data.storage.Storage;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Shows what a file or folder of ours holds. */
@Command(
    name = "inspect",
    header = "Shows what a dataset, a shard, a checkpoint or a run holds.",
    description = {
      "PATH is a folder of shards, one shard of it, the folder of a checkpoint, a folder of"
          + " checkpoints, or a run's folder, on any file system that Hadoop knows."
    },
    footer = {
      "",
      "Examples:",
      "  pretrain4j inspect runs/quickstart",
      "  pretrain4j inspect runs/quickstart/data/web --verify",
      "  pretrain4j inspect runs/quickstart/checkpoints/step-0000000360 --tensors"
    })
final class InspectCommand implements Callable<Integer> {
  private static final long CACHE_BYTES = 64L << 20;

  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "PATH", description = "What to show.")
  private String path;

  @Option(names = "--verify", description = "Read every byte and check it against its checksum.")
  private boolean verify;

  @Option(names = "--tensors", description = "List the tensors of a checkpoint with their shapes.")
  private boolean tensors;

  private Storage storage;

  @Override
  public Integer call() throws IOException {
    storage = new Storage(new Configuration());
    Path place = storage.path(path);
    Optional<CheckpointFolder> step = CheckpointFolder.of(place);
    if (!storage.exists(place)) {
      throw new UserException(path + " does not exist; check the path");
    }
    if (storage.status(place).isFile()) {
      shard(place);
    } else if (step.isPresent()) {
      checkpoint(step.get().open());
    } else if (storage.exists(new Path(place, Manifest.FILE))) {
      dataset(place);
    } else if (!CheckpointFolder.storeAt(path).steps().isEmpty()) {
      checkpoints(CheckpointFolder.storeAt(path));
    } else {
      throw new UserException(
          path + " holds neither shards with a manifest.json nor checkpoints; check the path");
    }
    return ExitCode.OK.number();
  }

  private void checkpoints(CheckpointStore store) {
    int damaged = 0;
    for (long step : store.steps()) {
      try {
        checkpoint(store.open(step));
      } catch (DamagedCheckpointException e) {
        line(
            "checkpoint",
            "%s",
            new Path(store.root(), "step-%010d".formatted(step)).toUri().getPath());
        line("integrity", "%s", e.getMessage());
        damaged++;
      }
    }
    if (damaged > 0) {
      throw new UserException(
          "%d of %d checkpoints in %s are damaged; train goes on from the newest good one"
              .formatted(damaged, store.steps().size(), store.root()));
    }
  }

  private void checkpoint(Checkpoint checkpoint) {
    if (verify) {
      checkpoint.verify();
    } else {
      checkpoint.verifySizes();
    }
    line("checkpoint", checkpoint.folder().toUri().getPath());
    line("steps", "%s done, in stage %s", count(checkpoint.step()), checkpoint.state().stage());
    line("tokens", "%s consumed", count(checkpoint.state().tokens()));
    checkpoint
        .state()
        .tokensByDataset()
        .forEach((dataset, tokens) -> line("", "%-16s %s", dataset, count(tokens)));
    line(
        "parameters",
        "%s in %d tensors, each as %s",
        count(checkpoint.layout().elements()),
        checkpoint.layout().entries().size(),
        String.join(", ", checkpoint.kinds()));
    line(
        "files",
        "%s, written by %d ranks",
        HumanUnits.bytes(checkpoint.bytes()),
        checkpoint.worldSize());
    line("integrity", verify ? "every byte is good" : "complete (--verify reads every byte)");
    if (tensors) {
      for (FlatLayout.Entry entry : checkpoint.layout().entries()) {
        line("", "%-52s %s", entry.name(), entry.shape());
      }
    }
  }

  /** Opens a dataset with whatever tokenizer it was made, and checks the sizes of its files. */
  private ShardedDataset open(Path folder) {
    BlockCache cache = new BlockCache(CACHE_BYTES);
    TokenizerIdentity tokenizer =
        ShardedDataset.openManifest(storage, folder, cache).manifest().tokenizer();
    ShardedDataset dataset = ShardedDataset.open(storage, folder, tokenizer, cache);
    if (verify) {
      dataset.verify();
    }
    return dataset;
  }

  private void dataset(Path folder) {
    ShardedDataset dataset = open(folder);
    Manifest manifest = dataset.manifest();
    line("dataset", folder.toUri().getPath());
    line("documents", count(manifest.documents()));
    line("tokens", count(manifest.tokens()));
    line(
        "per document",
        String.format(
            Locale.ROOT, "%.1f tokens", (double) manifest.tokens() / manifest.documents()));
    tokenizer(manifest);
    line("files", "%s, shards: %d", HumanUnits.bytes(manifest.bytes()), manifest.shards().size());
    for (ShardEntry shard : manifest.shards()) {
      line(
          "",
          "%-24s %12s documents %14s tokens %10s",
          shard.name(),
          count(shard.documents()),
          count(shard.tokens()),
          HumanUnits.bytes(shard.bytes()));
    }
    integrity();
  }

  /** A shard, as the manifest beside it knows it. */
  private void shard(Path file) {
    ShardedDataset dataset = open(file.getParent());
    ShardEntry shard =
        dataset.manifest().shards().stream()
            .filter(entry -> entry.name().equals(file.getName()))
            .findFirst()
            .orElseThrow(
                () ->
                    new UserException(
                        path + " is not listed in the " + Manifest.FILE + " beside it"));
    line("shard", file.toUri().getPath());
    line("documents", count(shard.documents()));
    line("tokens", count(shard.tokens()));
    line("bytes", "%s, CRC-32C %s", count(shard.bytes()), shard.crc32c());
    tokenizer(dataset.manifest());
    integrity();
  }

  private void tokenizer(Manifest manifest) {
    line(
        "tokenizer",
        "%s, vocabulary %s, end of document %d",
        manifest.tokenizer().fingerprint(),
        count(manifest.tokenizer().vocabSize()),
        manifest.tokenizer().endOfDocument());
  }

  private void integrity() {
    line("integrity", verify ? "every byte is good" : "complete (--verify reads every byte)");
  }

  private static String count(long number) {
    return HumanUnits.exact(number);
  }

  private void line(String what, String format, Object... values) {
    PrintWriter out = spec.commandLine().getOut();
    out.println(
        String.format(Locale.ROOT, "%-12s ", what)
            + (values.length == 0 ? format : String.format(Locale.ROOT, format, values)));
  }
}
