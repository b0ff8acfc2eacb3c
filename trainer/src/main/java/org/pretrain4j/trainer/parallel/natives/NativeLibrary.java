package org.pretrain4j.trainer.parallel.natives;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.pretrain4j.configuration.UserException;

/** A C library that is open until the process ends. */
@SuppressWarnings("restricted") // calling C is what this class is for
public final class NativeLibrary {
  private static final int RTLD_LAZY = 1;
  private static final int RTLD_GLOBAL = 0x100;
  private static final Linker LINKER = Linker.nativeLinker();

  /** Where a library may lie. */
  public record Search(
      String product, String environmentVariable, List<String> names, List<String> folders) {
    public Search {
      names = List.copyOf(names);
      folders = List.copyOf(folders);
    }

    /** In the order they are tried: the user's choice alone, or the loader's path, then folders. */
    List<String> candidates(Map<String, String> environment) {
      String chosen = environment.get(environmentVariable);
      if (chosen != null && !chosen.isBlank()) {
        return List.of(chosen);
      }
      List<String> candidates = new ArrayList<>(names);
      for (String folder : folders) {
        for (String name : names) {
          Path path = Path.of(folder, name);
          if (Files.exists(path)) {
            candidates.add(path.toString());
          }
        }
      }
      return candidates;
    }
  }

  /**
   * What came of looking for a library.
   *
   * @param library the first that could be opened
   * @param reasons why files that are there could not be opened, in the loader's words
   */
  public record Attempt(Optional<NativeLibrary> library, List<String> reasons) {
    public Attempt {
      reasons = List.copyOf(reasons);
    }
  }

  private final String path;
  private final MemorySegment handle;
  private final MethodHandle dlsym;

  private NativeLibrary(String path, MemorySegment handle, MethodHandle dlsym) {
    this.path = path;
    this.handle = handle;
    this.dlsym = dlsym;
  }

  /** Opens the library, or says that there is none. */
  public static Optional<NativeLibrary> find(Search search, Map<String, String> environment) {
    return attempt(search, environment).library();
  }

  /** Opens the library, or says why what is there can't be opened. */
  public static Attempt attempt(Search search, Map<String, String> environment) {
    SymbolLookup libc = LINKER.defaultLookup();
    Optional<MemorySegment> open = libc.find("dlopen");
    Optional<MemorySegment> symbol = libc.find("dlsym");
    Optional<MemorySegment> error = libc.find("dlerror");
    if (open.isEmpty() || symbol.isEmpty() || error.isEmpty()) {
      return new Attempt(Optional.empty(), List.of()); // not a Unix
    }
    MethodHandle dlopen =
        LINKER.downcallHandle(
            open.get(),
            FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
    MethodHandle dlsym =
        LINKER.downcallHandle(
            symbol.get(),
            FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.ADDRESS));
    MethodHandle dlerror =
        LINKER.downcallHandle(error.get(), FunctionDescriptor.of(ValueLayout.ADDRESS));
    reason(dlerror, ""); // linking the call of dlerror later would lose what it is to tell
    List<String> reasons = new ArrayList<>();
    for (String candidate : search.candidates(environment)) {
      // Global, since plugins that the library loads later look for its symbols there.
      MemorySegment handle = call(dlopen, candidate, RTLD_LAZY | RTLD_GLOBAL);
      if (handle.address() != 0) {
        return new Attempt(Optional.of(new NativeLibrary(candidate, handle, dlsym)), List.of());
      }
      reason(dlerror, candidate).ifPresent(reasons::add);
    }
    return new Attempt(Optional.empty(), reasons);
  }

  /** Why a file could not be opened; none if it is simply not there. */
  private static Optional<String> reason(MethodHandle dlerror, String candidate) {
    try {
      MemorySegment text = (MemorySegment) dlerror.invokeExact();
      if (text.address() == 0) {
        return Optional.empty();
      }
      String reason = text.reinterpret(Long.MAX_VALUE).getString(0);
      // The rest of the text is in the language of the environment.
      boolean absent =
          reason.startsWith(candidate + ":")
              && (!candidate.contains("/") || !Files.exists(Path.of(candidate)));
      return absent ? Optional.empty() : Optional.of(reason);
    } catch (Throwable e) {
      throw NativeCall.unchecked(e);
    }
  }

  /**
   * Opens the library.
   *
   * @param hint what to install, for the error
   * @throws UserException if it is nowhere, or can't be opened
   */
  public static NativeLibrary open(Search search, Map<String, String> environment, String hint) {
    Attempt attempt = attempt(search, environment);
    if (attempt.library().isPresent()) {
      return attempt.library().get();
    }
    if (!attempt.reasons().isEmpty()) {
      throw new UserException(
          "%s could not be loaded (%s): mend that, or set %s to another file"
              .formatted(
                  search.product(),
                  String.join("; ", attempt.reasons()),
                  search.environmentVariable()));
    }
    throw new UserException(
        "%s was not found: looked for %s on the loader's path and in %s; %s, or set %s to its file"
            .formatted(
                search.product(),
                String.join(", ", search.candidates(environment)),
                String.join(", ", search.folders()),
                hint,
                search.environmentVariable()));
  }

  private static MemorySegment call(MethodHandle dlopen, String file, int flags) {
    try (Arena arena = Arena.ofConfined()) {
      return (MemorySegment) dlopen.invokeExact(arena.allocateFrom(file), flags);
    } catch (Throwable e) {
      throw new IllegalStateException("dlopen", e);
    }
  }

  /** The name or file under which the library was found. */
  public String path() {
    return path;
  }

  /** The address of an exported symbol. */
  public Optional<MemorySegment> symbol(String name) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment address = (MemorySegment) dlsym.invokeExact(handle, arena.allocateFrom(name));
      return address.address() == 0 ? Optional.empty() : Optional.of(address);
    } catch (Throwable e) {
      throw new IllegalStateException("dlsym", e);
    }
  }

  /**
   * An exported function.
   *
   * @throws UserException if the library lacks it
   */
  public MethodHandle function(String name, MemoryLayout result, MemoryLayout... arguments) {
    MemorySegment address =
        symbol(name)
            .orElseThrow(
                () ->
                    new UserException(
                        path + " has no function " + name + ": another version is needed"));
    return LINKER.downcallHandle(address, FunctionDescriptor.of(result, arguments));
  }
}
