package org.pretrain4j.launch;

import java.io.IOException;
import java.util.concurrent.Callable;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.gguf.GgufType;
import org.pretrain4j.data.storage.Storage;
import org.pretrain4j.trainer.exchange.ExportReport;
import org.pretrain4j.trainer.exchange.ModelExport;
import org.pretrain4j.trainer.exchange.StoredModel;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Exports a GGUF file. */
@Command(
    name = "gguf",
    header = "Writes one GGUF file, tokenizer included.",
    description = {"Of the architecture smollm3, as llama.cpp, Ollama and LM Studio open it."},
    footer = {
      "",
      "Examples:",
      "  pretrain4j export gguf runs/quickstart quickstart.gguf",
      "  pretrain4j export gguf exported/quickstart quickstart-q8.gguf --type q8_0"
    })
final class ExportGgufCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Mixin private ModelSource source;

  @Parameters(paramLabel = "FILE", description = "Where to; must not exist.")
  private String file;

  @Option(
      names = "--type",
      paramLabel = "TYPE",
      defaultValue = "bf16",
      description = {
        "How matrices are stored: f32, bf16, f16 or q8_0; vectors stay f32 (default:"
            + " ${DEFAULT-VALUE})."
      })
  private GgufType type;

  @Option(
      names = "--name",
      paramLabel = "TEXT",
      description = "What other programs show (default: the name of the run, or of the folder).")
  private String name;

  @Override
  public Integer call() throws IOException {
    try (StoredModel model = source.open()) {
      ExportReport report = ModelExport.gguf(model, type, shownName(model), file);
      Path path = new Path(file);
      long bytes = new Storage(new Configuration()).status(path).getLen();
      ExportCommand.print(spec.commandLine().getOut(), report, file, bytes);
    }
    return ExitCode.OK.number();
  }

  private String shownName(StoredModel model) {
    return name != null
        ? name
        : model.run().map(run -> run.name()).orElseGet(() -> new Path(source.place()).getName());
  }
}
