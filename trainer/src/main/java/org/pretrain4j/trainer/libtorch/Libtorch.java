package org.pretrain4j.trainer.libtorch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BOOLEAN;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import ai.djl.engine.Engine;
import ai.djl.pytorch.jni.LibUtils;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.configuration.UserException;

/**
 * libtorch's stable C interface, bound once. Every function returns 0, or not 0 when C++ threw; the
 * C++ text is on standard error then.
 *
 * <p>DJL loads the library (its own copy, or the one that {@code PYTORCH_LIBRARY_PATH} names); the
 * symbols are looked up in that very file, so that a DJL array's handle is a valid handle here.
 */
@SuppressWarnings("restricted")
final class Libtorch {
  /** DJL's name of the engine. */
  static final String ENGINE = "PyTorch";

  private static final Linker LINKER = Linker.nativeLinker();
  private static final SymbolLookup SYMBOLS = open();

  static final MethodHandle CALL_DISPATCHER =
      function("aoti_torch_call_dispatcher", ADDRESS, ADDRESS, ADDRESS);
  static final MethodHandle NEW_TENSOR_HANDLE =
      function("aoti_torch_new_tensor_handle", JAVA_LONG, ADDRESS);
  static final MethodHandle DELETE_TENSOR = function("aoti_torch_delete_tensor_object", JAVA_LONG);
  static final MethodHandle GET_DATA_PTR = function("aoti_torch_get_data_ptr", JAVA_LONG, ADDRESS);
  static final MethodHandle GET_DTYPE = function("aoti_torch_get_dtype", JAVA_LONG, ADDRESS);
  static final MethodHandle GET_DIM = function("aoti_torch_get_dim", JAVA_LONG, ADDRESS);
  static final MethodHandle GET_SIZES = function("aoti_torch_get_sizes", JAVA_LONG, ADDRESS);
  static final MethodHandle GET_STRIDES = function("aoti_torch_get_strides", JAVA_LONG, ADDRESS);
  static final MethodHandle GET_STORAGE_OFFSET =
      function("aoti_torch_get_storage_offset", JAVA_LONG, ADDRESS);
  static final MethodHandle EMPTY_STRIDED =
      function(
          "aoti_torch_empty_strided",
          JAVA_LONG,
          ADDRESS,
          ADDRESS,
          JAVA_INT,
          JAVA_INT,
          JAVA_INT,
          ADDRESS);
  static final MethodHandle REINTERPRET =
      function(
          "aoti_torch__reinterpret_tensor",
          JAVA_LONG,
          JAVA_LONG,
          ADDRESS,
          ADDRESS,
          JAVA_LONG,
          ADDRESS);
  static final MethodHandle COPY = function("aoti_torch_copy_", JAVA_LONG, JAVA_LONG, JAVA_INT);
  static final MethodHandle ADDMM_OUT =
      function(
          "aoti_torch_addmm_out",
          JAVA_LONG,
          JAVA_LONG,
          JAVA_LONG,
          JAVA_LONG,
          JAVA_FLOAT,
          JAVA_FLOAT);
  static final MethodHandle ZERO = function("aoti_torch_zero_", JAVA_LONG);
  static final MethodHandle SET_GRAD_MODE =
      LINKER.downcallHandle(
          symbol("aoti_torch_grad_mode_set_enabled"), FunctionDescriptor.ofVoid(JAVA_BOOLEAN));
  static final MethodHandle MALLOC =
      LINKER.downcallHandle(
          LINKER.defaultLookup().find("malloc").orElseThrow(),
          FunctionDescriptor.of(ADDRESS, JAVA_LONG));

  private Libtorch() {}

  /** Does nothing but what loading this class does. */
  static void load() {}

  private static SymbolLookup open() {
    // Threads that spin while they wait for the others ruin each other where cores are shared.
    setEnvironmentIfAbsent("OMP_WAIT_POLICY", "passive");
    // Neither may reach for the network: the libraries are on the class path or installed.
    System.setProperty("ai.djl.offline", System.getProperty("ai.djl.offline", "true"));
    System.setProperty("OPT_OUT_TRACKING", "true");
    boolean offline = Boolean.getBoolean("ai.djl.offline");
    try {
      InstalledLibtorch.named(environment())
          .ifPresent(
              installed -> installed.require(environment(), BundledJni.onClassPath(), offline));
      Engine.getEngine(ENGINE);
    } catch (UserException e) {
      throw e;
    } catch (RuntimeException | LinkageError | AssertionError e) { // DJL asserts what it finds
      throw new UserException(
          "libtorch could not be loaded ("
              + firstLine(e)
              + "); run on one of the platforms of the README, or set PYTORCH_LIBRARY_PATH and"
              + " PYTORCH_VERSION to an installed libtorch",
          e);
    }
    Path folder = Path.of(LibUtils.getLibtorchPath());
    for (String name : List.of("libtorch_cpu.so", "libtorch_cpu.dylib", "torch_cpu.dll")) {
      Path file = folder.resolve(name);
      if (Files.exists(file)) {
        return SymbolLookup.libraryLookup(file, Arena.global());
      }
    }
    throw new UserException(
        "there is no libtorch_cpu in "
            + folder
            + "; PYTORCH_LIBRARY_PATH must name libtorch's lib folder");
  }

  /** The environment as DJL reads it: with system properties for what is not set there. */
  static Map<String, String> environment() {
    Map<String, String> environment = new HashMap<>(System.getenv());
    for (String name :
        List.of(
            InstalledLibtorch.PATH_VARIABLE,
            InstalledLibtorch.VERSION_VARIABLE,
            InstalledLibtorch.FLAVOR_VARIABLE)) {
      String value = System.getProperty(name);
      if (value != null) {
        environment.putIfAbsent(name, value);
      }
    }
    return environment;
  }

  /** Must run before the library that reads the variable is loaded. */
  private static void setEnvironmentIfAbsent(String name, String value) {
    Optional<MemorySegment> setenv = LINKER.defaultLookup().find("setenv");
    if (System.getenv(name) != null || setenv.isEmpty()) {
      return;
    }
    MethodHandle function =
        LINKER.downcallHandle(
            setenv.get(), FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT));
    try (Arena arena = Arena.ofConfined()) {
      int code = (int) function.invokeExact(arena.allocateFrom(name), arena.allocateFrom(value), 0);
      if (code != 0) {
        throw new IllegalStateException("setenv of " + name + " failed");
      }
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  private static String firstLine(Throwable e) {
    Throwable root = e;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    return String.valueOf(root.getMessage()).lines().findFirst().orElse(root.toString());
  }

  private static MethodHandle function(String name, MemoryLayout... arguments) {
    return LINKER.downcallHandle(symbol(name), FunctionDescriptor.of(JAVA_INT, arguments));
  }

  /** A symbol that not every build has. */
  static Optional<MemorySegment> optionalSymbol(String name) {
    return name.isEmpty() ? Optional.empty() : SYMBOLS.find(name);
  }

  private static MemorySegment symbol(String name) {
    return SYMBOLS
        .find(name)
        .orElseThrow(
            () ->
                new UserException(
                    "this libtorch lacks " + name + "; version 2.7 or newer is needed"));
  }

  /** Turns whatever a method handle may throw into what it is: a failure of this binding. */
  static AssertionError unexpected(Throwable e) {
    return new AssertionError("a call into libtorch failed before it reached libtorch", e);
  }
}
