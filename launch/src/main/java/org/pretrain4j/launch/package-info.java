/**
 * The command line: one class for each command, and what they share.
 *
 * <p>{@link org.pretrain4j.launch.Main} hands the arguments to picocli, which finds the command,
 * fills in its options and calls it. A command returns an {@link org.pretrain4j.launch.ExitCode};
 * what goes wrong is thrown, and told to the user in one place, {@link
 * org.pretrain4j.launch.ErrorReport}: a mistake that the user can mend is one line on standard
 * error, everything else one line and a log with the stack trace.
 *
 * <pre>
 * launch/pretrain4j validate configs/quickstart.yaml
 * launch/pretrain4j train configs/quickstart.yaml --set training.precision=fp32
 * </pre>
 */
package org.pretrain4j.launch;
