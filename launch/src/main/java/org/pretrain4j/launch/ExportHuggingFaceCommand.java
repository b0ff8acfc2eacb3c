package org.pretrain4j.launch;

import java.io.IOException;
import java.util.concurrent.Callable;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.huggingface.HuggingFaceExport;
import org.pretrain4j.checkpoints.safetensors.DType;
import org.pretrain4j.configuration.UserException;
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

/** Exports a folder in the Hugging Face format. */
@Command(
    name = "hf",
    header = "Writes a folder in the Hugging Face format.",
    description = {
      "config.json (SmolLM3ForCausalLM), safetensors in one file or several with their index,"
          + " tokenizer and generation files: what transformers, vLLM and SGLang open."
    },
    footer = {
      "",
      "Examples:",
      "  pretrain4j export hf runs/quickstart exported/quickstart",
      "  pretrain4j export hf runs/quickstart/checkpoints/step-0000000300 exported/q --type f32"
    })
final class ExportHuggingFaceCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Mixin private ModelSource source;

  @Parameters(paramLabel = "FOLDER", description = "Where to; must not exist.")
  private String folder;

  @Option(
      names = "--type",
      paramLabel = "TYPE",
      defaultValue = "bf16",
      description = "bf16, f16 or f32; each value is rounded once (default: ${DEFAULT-VALUE}).")
  private Type type;

  @Option(
      names = "--max-file-bytes",
      paramLabel = "N",
      description = "Largest size of a file of weights (default: 5000000000).")
  private long maxFileBytes = HuggingFaceExport.DEFAULT_FILE_BYTES;

  /** What transformers calls the same. */
  private enum Type {
    BF16(DType.BF16),
    F16(DType.F16),
    F32(DType.F32);

    private final DType dtype;

    Type(DType dtype) {
      this.dtype = dtype;
    }
  }

  @Override
  public Integer call() throws IOException {
    if (maxFileBytes < 1) {
      throw new UserException("--max-file-bytes is " + maxFileBytes + ", expected at least 1");
    }
    try (StoredModel model = source.open()) {
      ExportReport report = ModelExport.huggingFace(model, type.dtype, maxFileBytes, folder);
      Path path = new Path(folder);
      long bytes =
          new Storage(new Configuration()).fileSystem(path).getContentSummary(path).getLength();
      ExportCommand.print(spec.commandLine().getOut(), report, folder, bytes);
    }
    return ExitCode.OK.number();
  }
}
