package org.pretrain4j.checkpoints.merging;

import java.util.Optional;
import org.apache.hadoop.fs.Path;
import org.pretrain4j.checkpoints.huggingface.ModelArchitecture;

/**
 * What the run that saved a checkpoint knows about its model; the tensors alone don't tell.
 *
 * @param architecture its sizes
 * @param tokenizer its tokenizer.json, if one is known
 */
public record RunModel(ModelArchitecture architecture, Optional<Path> tokenizer) {}
