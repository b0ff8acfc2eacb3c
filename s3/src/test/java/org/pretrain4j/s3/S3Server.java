package org.pretrain4j.s3;

import java.io.File;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.pretrain4j.data.storage.Storage;

/** An S3-compatible server on loopback, in a process of its own, with a bucket {@code corpus}. */
public final class S3Server implements AutoCloseable {
  private final int port;
  private final Process process;

  /**
   * @param folder for what it stores and its log
   */
  public S3Server(Path folder) throws Exception {
    try (ServerSocket socket = new ServerSocket(0)) {
      port = socket.getLocalPort();
    }
    String classPath =
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    String jar =
        Arrays.stream(classPath.split(File.pathSeparator))
            .filter(entry -> entry.contains("s3mock") && entry.endsWith("-exec.jar"))
            .findFirst()
            .orElseThrow();
    process =
        new ProcessBuilder(
                List.of(
                    System.getProperty("java.home") + "/bin/java",
                    "-Xmx256m",
                    "-XX:TieredStopAtLevel=1",
                    "-Dcom.adobe.testing.s3mock.httpPort=" + port,
                    "-Dcom.adobe.testing.s3mock.store.root=" + folder.resolve("store"),
                    "-Dcom.adobe.testing.s3mock.store.initialBuckets=corpus",
                    "-jar",
                    jar,
                    "--server.port=0"))
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("s3mock.log").toFile())
            .start();
    await();
  }

  private void await() throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(120);
    while (System.nanoTime() < deadline) {
      try {
        HttpURLConnection connection =
            (HttpURLConnection) URI.create(endpoint() + "/corpus").toURL().openConnection();
        if (connection.getResponseCode() < 500) {
          return;
        }
      } catch (IOException e) {
        if (!process.isAlive()) {
          throw new IllegalStateException("the S3 server ended", e);
        }
      }
      Thread.sleep(100);
    }
    throw new IllegalStateException("the S3 server does not answer");
  }

  private String endpoint() {
    return "http://127.0.0.1:" + port;
  }

  Storage storage(Path buffers) {
    return new Storage(merged(buffers));
  }

  private Configuration merged(Path buffers) {
    Configuration merged = new Configuration();
    configuration(buffers).forEach(entry -> merged.set(entry.getKey(), entry.getValue()));
    return merged;
  }

  /**
   * What a client needs to know.
   *
   * @param buffers where the client keeps what it has not sent yet
   */
  public Configuration configuration(Path buffers) {
    Configuration configuration = new Configuration(false);
    configuration.set("fs.s3a.endpoint", endpoint());
    configuration.set("fs.s3a.endpoint.region", "us-east-1");
    configuration.setBoolean("fs.s3a.path.style.access", true);
    configuration.setBoolean("fs.s3a.connection.ssl.enabled", false);
    configuration.set("fs.s3a.access.key", "key");
    configuration.set("fs.s3a.secret.key", "secret");
    configuration.set(
        "fs.s3a.aws.credentials.provider", "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider");
    configuration.set("fs.s3a.buffer.dir", buffers.toString());
    // The default stream keeps what it read, which would hide a read that we do twice.
    configuration.set("fs.s3a.input.stream.type", "classic");
    return configuration;
  }

  @Override
  public void close() {
    process.destroy();
    process
        .onExit()
        .orTimeout(10, TimeUnit.SECONDS)
        .exceptionally(late -> process.destroyForcibly())
        .join();
  }
}
