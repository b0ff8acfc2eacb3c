package org.pretrain4j.launch;

import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The program itself: what every command has in common. Without a command it shows its help. */
@Command(
    name = "pretrain4j",
    mixinStandardHelpOptions = true,
    versionProvider = Pretrain4j.Version.class,
    scope = ScopeType.INHERIT,
    header = "Pretrains language models on the JVM, from a laptop to a cluster.",
    synopsisSubcommandLabel = "COMMAND",
    footer = {
      "",
      "Example:",
      "  pretrain4j train configs/quickstart.yaml",
      "",
      "pretrain4j COMMAND --help explains a command."
    })
final class Pretrain4j implements Runnable {

  @Spec private CommandSpec spec;

  @Option(
      names = "--stack-trace",
      scope = ScopeType.INHERIT,
      description = "After an error, also print where in the program it arose.")
  private boolean stackTrace;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "which command?");
  }

  /** The version that the build wrote into the jar. */
  static final class Version implements IVersionProvider {
    /** This program's, or that it has none. */
    static String program() {
      String version = Pretrain4j.class.getPackage().getImplementationVersion();
      return version == null ? "(not packaged)" : version;
    }

    @Override
    public String[] getVersion() {
      return new String[] {
        "pretrain4j " + program(),
        "Java "
            + Runtime.version()
            + ", "
            + System.getProperty("os.name")
            + " "
            + System.getProperty("os.arch")
      };
    }
  }
}
