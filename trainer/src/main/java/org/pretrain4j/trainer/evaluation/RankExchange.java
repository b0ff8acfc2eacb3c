package org.pretrain4j.trainer.evaluation;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.pretrain4j.trainer.parallel.Collectives;

/** How the ranks tell each other their sums. */
public interface RankExchange {
  /** One process that does it all. */
  RankExchange ALONE =
      new RankExchange() {
        @Override
        public int rank() {
          return 0;
        }

        @Override
        public int worldSize() {
          return 1;
        }

        @Override
        public List<double[]> gather(double[] mine) {
          return List.of(mine);
        }
      };

  int rank();

  int worldSize();

  /** What each rank has, in the order of ranks; all call it alike. */
  List<double[]> gather(double[] mine);

  /** Over the ranks of a run. */
  static RankExchange over(Collectives collectives) {
    return new RankExchange() {
      @Override
      public int rank() {
        return collectives.rank();
      }

      @Override
      public int worldSize() {
        return collectives.worldSize();
      }

      @Override
      public List<double[]> gather(double[] mine) {
        ByteBuffer own = ByteBuffer.allocate(mine.length * Double.BYTES);
        own.asDoubleBuffer().put(mine);
        List<double[]> all = new ArrayList<>();
        for (int root = 0; root < worldSize(); root++) {
          ByteBuffer theirs = ByteBuffer.wrap(collectives.broadcastBytes(own.array(), root));
          double[] values = new double[theirs.remaining() / Double.BYTES];
          theirs.asDoubleBuffer().get(values);
          all.add(values);
        }
        return all;
      }
    };
  }
}
