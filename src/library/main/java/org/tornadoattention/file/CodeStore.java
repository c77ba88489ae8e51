package org.tornadoattention.file;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Code compiled for a device, kept on disk between runs of the JVM, one file for each text and what it was compiled for
 * and by.
 *
 * <p>A file is written under another name and then renamed, so that it is there as a whole or not at all, whoever
 * writes at the same time. It holds a digest of what it holds: a damaged one is deleted, and its code made again. Where
 * there is more than the limit, what was used longest ago goes. A disk that cannot be read or written costs the time of
 * compiling, and nothing else.
 */
public final class CodeStore {

    /** {@code -Dtornadoattention.codeCache=off} keeps nothing; any other value is the directory. */
    public static final String PROPERTY = "tornadoattention.codeCache";

    private static final Logger LOG = System.getLogger(CodeStore.class.getName());
    private static final String SUFFIX = ".code";
    private static final String UNFINISHED = ".part";
    private static final int DIGEST_BYTES = 32;
    private static final long MOST_BYTES = 256L << 20;

    /** Long after any writer has finished or died. */
    private static final long ABANDONED_SECONDS = 3600;

    private final Optional<Path> directory;
    private final long mostBytes;

    /**
     * A store in a directory, which is made where it is not there.
     *
     * @param directory the directory, or empty for a store that keeps nothing
     * @param mostBytes of all files
     */
    CodeStore(Optional<Path> directory, long mostBytes) {
        this.directory = directory;
        this.mostBytes = mostBytes;
    }

    /** The store of this user: as the property says, or in the place for caches. */
    public static CodeStore ofThisUser() {
        return new CodeStore(directory(System.getProperty(PROPERTY, ""), System.getenv()), MOST_BYTES);
    }

    static Optional<Path> directory(String property, Map<String, String> environment) {
        if (property.equals("off")) {
            return Optional.empty();
        }
        if (!property.isEmpty()) {
            return Optional.of(Path.of(property));
        }
        return place(environment)
                .map(caches -> caches.resolve("tornado-attention").resolve("code"));
    }

    private static Optional<Path> place(Map<String, String> environment) {
        return Stream.of(
                        absolute(environment.get("XDG_CACHE_HOME")),
                        absolute(environment.get("LOCALAPPDATA")),
                        absolute(environment.get("HOME")).map(home -> home.resolve(".cache")))
                .flatMap(Optional::stream)
                .findFirst();
    }

    /** What is not absolute counts for nothing, as the rules of XDG have it. */
    private static Optional<Path> absolute(@Nullable String path) {
        return Optional.ofNullable(path)
                .filter(text -> !text.isEmpty())
                .map(Path::of)
                .filter(Path::isAbsolute);
    }

    /**
     * Code, as it was kept or made now.
     *
     * @param key all that the code depends on
     * @param make makes it; what it throws is thrown
     */
    public byte[] get(List<String> key, Supplier<byte[]> make) {
        Optional<Path> file = file(key);
        return file.flatMap(CodeStore::read).orElseGet(() -> {
            byte[] made = make.get();
            file.ifPresent(place -> write(place, made));
            return made;
        });
    }

    /**
     * Code, if it was kept.
     *
     * @param key all that the code depends on
     */
    public Optional<byte[]> find(List<String> key) {
        return file(key).flatMap(CodeStore::read);
    }

    /**
     * Keeps code.
     *
     * @param key all that the code depends on
     * @param code the code
     */
    public void keep(List<String> key, byte[] code) {
        file(key).ifPresent(place -> write(place, code));
    }

    private Optional<Path> file(List<String> key) {
        return directory.map(place -> place.resolve(name(key) + SUFFIX));
    }

    /** Each part with its length before it, so that no two lists of parts are one text. */
    private static String name(List<String> key) {
        MessageDigest digest = digest();
        for (String part : key) {
            byte[] bytes = part.getBytes(StandardCharsets.UTF_8);
            digest.update(
                    ByteBuffer.allocate(Integer.BYTES).putInt(bytes.length).array());
            digest.update(bytes);
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private static MessageDigest digest() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every JDK has SHA-256", e);
        }
    }

    private static Optional<byte[]> read(Path file) {
        try {
            byte[] bytes = Files.readAllBytes(file);
            if (bytes.length > DIGEST_BYTES) {
                byte[] code = Arrays.copyOfRange(bytes, DIGEST_BYTES, bytes.length);
                if (Arrays.equals(Arrays.copyOf(bytes, DIGEST_BYTES), digest().digest(code))) {
                    Files.setLastModifiedTime(file, FileTime.from(Instant.now()));
                    return Optional.of(code);
                }
            }
            LOG.log(Level.DEBUG, "{0} is damaged, and is made again", file);
            Files.deleteIfExists(file);
        } catch (NoSuchFileException e) {
            return Optional.empty();
        } catch (IOException | SecurityException e) {
            LOG.log(Level.DEBUG, "cannot read " + file, e);
        }
        return Optional.empty();
    }

    private void write(Path file, byte[] code) {
        try {
            makeDirectory();
            Path unfinished = Files.createTempFile(directory.orElseThrow(), "", UNFINISHED);
            try {
                byte[] digest = digest().digest(code);
                byte[] bytes = Arrays.copyOf(digest, digest.length + code.length);
                System.arraycopy(code, 0, bytes, digest.length, code.length);
                Files.write(unfinished, bytes);
                Files.move(unfinished, file, StandardCopyOption.ATOMIC_MOVE);
            } finally {
                Files.deleteIfExists(unfinished);
            }
            removeSurplus();
        } catch (IOException | SecurityException e) {
            LOG.log(Level.DEBUG, "cannot write " + file, e);
        }
    }

    /** For its owner alone: what is in it runs on the device. */
    private void makeDirectory() throws IOException {
        Path made = directory.orElseThrow();
        if (FileSystems.getDefault().supportedFileAttributeViews().contains("posix")) {
            Files.createDirectories(
                    made, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        } else {
            Files.createDirectories(made);
        }
    }

    private record Kept(Path file, long bytes, Instant used) {}

    /** Down to three quarters of the limit, so that not every write has something to remove. */
    private void removeSurplus() throws IOException {
        List<Kept> files;
        try (Stream<Path> all = Files.list(directory.orElseThrow())) {
            files = all.flatMap(file -> kept(file).stream())
                    .sorted(Comparator.comparing(Kept::used))
                    .toList();
        }
        long bytes = files.stream().mapToLong(Kept::bytes).sum();
        long most = bytes > mostBytes ? mostBytes / 4 * 3 : bytes;
        Instant abandoned = Instant.now().minusSeconds(ABANDONED_SECONDS);
        for (Kept each : files) {
            boolean unfinished = each.file.toString().endsWith(UNFINISHED);
            if (unfinished ? each.used.isBefore(abandoned) : bytes > most) {
                Files.deleteIfExists(each.file);
                bytes -= each.bytes;
            }
        }
    }

    /** What a file is, unless somebody removed it just now. */
    private static Optional<Kept> kept(Path file) {
        String name = file.getFileName().toString();
        if (!name.endsWith(SUFFIX) && !name.endsWith(UNFINISHED)) {
            return Optional.empty();
        }
        try {
            return Optional.of(new Kept(
                    file, Files.size(file), Files.getLastModifiedTime(file).toInstant()));
        } catch (IOException e) {
            return Optional.empty();
        }
    }
}
