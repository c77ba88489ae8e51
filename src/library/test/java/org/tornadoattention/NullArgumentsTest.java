package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodType;
import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Parameter;
import java.net.URISyntaxException;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.cache.CacheOptions;
import org.tornadoattention.cache.KeyValuePool;
import org.tornadoattention.cache.KvCache;
import org.tornadoattention.cache.PagedKvCache;
import org.tornadoattention.cache.RaggedAttention;
import org.tornadoattention.cache.RotaryEmbedding;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.DeviceBuffer;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.device.Platform;
import org.tornadoattention.device.Recording;
import org.tornadoattention.device.ReplayedPlan;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.ReferenceAttention;
import org.tornadoattention.reference.Tolerance;
import org.tornadoattention.tensor.ByteTensor;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Safetensors;
import org.tornadoattention.tensor.SafetensorsEntry;
import org.tornadoattention.tensor.SafetensorsWriter;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import uk.ac.manchester.tornado.api.types.arrays.ByteArray;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Null for any argument of a public method or constructor is an IllegalArgumentException that names the parameter. */
class NullArgumentsTest {

    /** What users import; {@code intrinsic} is left out, whose methods are instructions of a device. */
    private static final List<String> PACKAGES = List.of("", "cache", "device", "reference", "tensor");

    /** Where null has a meaning, or where the JDK's own code answers. */
    private static final Set<String> OTHERS = Set.of("equals", "valueOf", "compareTo");

    @TempDir
    static Path directory;

    /** An argument, or a receiver, of each type; it fits as far as it takes for null to be looked at. */
    private static final Map<Class<?>, Object> SAMPLES = new HashMap<>();

    @BeforeAll
    static void makeSamples() throws IOException {
        ComputeDevice device = TestDevice.get();
        Tensor tensor = Tensor.random(DType.F32, 1, 1, 2, 4, 8);
        AttentionOptions options = AttentionOptions.defaults();
        CacheOptions cacheOptions = CacheOptions.of(DType.F32).on(device);
        Tensor packed = Tensor.allocate(DType.F32, 4, 2, 8);
        RaggedAttention ragged = new RaggedAttention(device);
        Path file = directory.resolve("file.safetensors");
        new SafetensorsWriter().tensor("q", tensor).writeTo(file);
        Tensor logSumExp = Tensor.allocate(DType.F32, 1, 2, 4);
        AttentionResult result = AttentionResult.of(tensor, logSumExp);
        KvCache.Builder sizes =
                KvCache.builder().batch(1).heads(2).headDim(8).capacity(4).options(cacheOptions);
        PagedKvCache.Builder pagedSizes = PagedKvCache.builder()
                .sequences(1)
                .heads(2)
                .headDim(8)
                .capacity(4)
                .pageSize(2)
                .pages(2)
                .options(cacheOptions);
        Object[] samples = {
            true,
            1,
            1L,
            1f,
            1.0,
            "name",
            new float[] {1},
            new double[] {1},
            new int[] {1},
            tensor,
            options,
            Mask.none(),
            Dropout.NONE,
            AttentionShape.of(tensor, tensor, tensor, options),
            DType.F32,
            device,
            cacheOptions,
            CacheType.E4M3,
            new RotaryEmbedding(8, 10_000, RotaryEmbedding.Style.HALF_SPLIT),
            RotaryEmbedding.Style.HALF_SPLIT,
            DecodeKernel.SPLIT_KEY,
            ragged.tasks(new TaskGraph("packed"), new GridScheduler(), packed, packed, 1, options),
            AttentionKernel.ONLINE,
            Backend.SIMULATOR,
            Intrinsics.NONE,
            CompilerExtension.Support.none(0, ""),
            TornadoDeviceType.GPU,
            Platform.current(),
            new TaskGraph("graph"),
            new GridScheduler(),
            new FloatArray(1),
            new HalfFloatArray(1),
            new ShortArray(1),
            new ByteArray(1),
            ByteTensor.view(new ByteArray(1), 0, new int[] {1}, new int[] {1}),
            IntArray.fromElements(0, 1),
            result,
            Gradients.of(tensor, tensor, tensor),
            Duration.ZERO,
            file,
            Safetensors.open(file),
            new SafetensorsWriter(),
            new SafetensorsEntry("q", "F32", List.of(1L), 0, 4),
            Tolerance.forward(DType.F32),
            AccuracyCheck.of(tensor, tensor, tensor, options),
            new PlanStatistics(0, 0, 0),
            StepReport.NONE,
            FlashAttention.on(device),
            new RaggedAttention(device),
            DistributedAttention.on(List.of(device)),
            new AttentionPart.Range(0, 1),
            new AttentionSums(AttentionShape.of(tensor, tensor, tensor, options)),
            AttentionPart.of(
                    AttentionShape.of(tensor, tensor, tensor, options),
                    options,
                    new AttentionPart.Range(0, 1),
                    new AttentionPart.Range(0, 2),
                    new AttentionPart.Range(0, 4)),
            DistributedAttention.Division.KEYS,
            BackwardTensors.builder(),
            KeyValuePool.of(tensor, tensor, new IntArray(1)),
            sizes,
            pagedSizes,
            sizes.build(),
            pagedSizes.build(),
            new ReferenceAttention.Forward(new double[0], new double[0]),
            new ReferenceAttention.Backward(new double[0], new double[0], new double[0]),
            new AttentionResult[] {result}
        };
        for (Object sample : samples) {
            SAMPLES.put(sample.getClass(), sample);
        }
        SAMPLES.put(List.class, List.of(result));
        SAMPLES.put(LongConsumer.class, (LongConsumer) address -> {});
        SAMPLES.put(MemorySegment.class, new FloatArray(1).getSegment());
        SAMPLES.put(ScoreFunction.class, (ScoreFunction) (s, b, h, i, j) -> s);
        SAMPLES.put(MaskFunction.class, (MaskFunction) (b, h, i, j) -> true);
        BlockMask blocks = BlockMask.of((b, h, i, j) -> true, 1, 1, 4, 4);
        SAMPLES.put(BlockMask.class, blocks);
        SAMPLES.put(BlockMask.Finder.class, (BlockMask.Finder) _ -> {});
        SAMPLES.put(boolean[][].class, new boolean[][] {{true}});
        SAMPLES.put(int[][].class, new int[][] {{0}});
        SAMPLES.put(Mask.Condition.class, new Mask.Window(1, 1));
        SAMPLES.put(Optional.class, Optional.empty());
        SAMPLES.put(Executor.class, (Executor) Runnable::run);
        SAMPLES.put(Runnable.class, (Runnable) () -> {});
        SAMPLES.put(TornadoExecutionPlan.class, new TornadoExecutionPlan(new TaskGraph("plan").snapshot()));
        SAMPLES.put(ReplayedPlan.class, ReplayedPlan.of(plan(), device));
        SAMPLES.put(Recording.class, new Recording() {
            @Override
            public void launch() {}

            @Override
            public Running start(Map<TornadoNativeArray, MemorySegment> places) {
                return () -> Duration.ZERO;
            }

            @Override
            public void send(TornadoNativeArray array, Recording receiver, TornadoNativeArray target) {}

            @Override
            public DeviceBuffer allocate(long bytes) {
                throw new AssertionError("Null is looked at first");
            }

            @Override
            public DeviceBuffer bufferOf(TornadoNativeArray array) {
                throw new AssertionError("Null is looked at first");
            }

            @Override
            public void copy(DeviceBuffer from, long fromByte, DeviceBuffer to, long toByte, Runs runs) {}

            @Override
            public void write(MemorySegment from, DeviceBuffer to) {}

            @Override
            public void read(DeviceBuffer from, MemorySegment to) {}

            @Override
            public Optional<Captured> capture(List<Recording> all, Runnable work) {
                return Optional.empty();
            }

            @Override
            public void await() {}
        });
        try (FlashAttention tiled = FlashAttention.on(device, AttentionKernel.TILED)) {
            AttentionShape shape = AttentionShape.of(tensor, tensor, tensor, options);
            SAMPLES.put(
                    Tile.class, tiled.choose(shape, DType.F32, options).tile().orElseThrow());
        }
        SAMPLES.put(TornadoDevice.class, device.handle());
        SAMPLES.put(WritableByteChannel.class, Channels.newChannel(OutputStream.nullOutputStream()));
        BackwardTensors.Builder named = BackwardTensors.builder();
        named.q(tensor).k(tensor).v(tensor).output(tensor).logSumExp(logSumExp).dOut(tensor);
        BackwardTensors tensors = named.dQ(tensor).dK(tensor).dV(tensor).build();
        SAMPLES.put(BackwardTensors.class, tensors);
    }

    static void nothing(FloatArray x) {
        for (@Parallel int i = 0; i < x.getSize(); i++) {
            x.set(i, 0f);
        }
    }

    private static TornadoExecutionPlan plan() {
        FloatArray x = new FloatArray(1);
        TaskGraph graph = new TaskGraph("replayed")
                .transferToDevice(DataTransferMode.EVERY_EXECUTION, x)
                .task("nothing", NullArgumentsTest::nothing, x)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, x);
        return new TornadoExecutionPlan(graph.snapshot());
    }

    @AfterAll
    static void closeSamples() throws Exception {
        for (Object sample : SAMPLES.values()) {
            if (sample instanceof AutoCloseable closeable) {
                closeable.close();
            }
        }
        SAMPLES.clear();
    }

    private static Object sample(Class<?> type) {
        Class<?> wrapped = MethodType.methodType(type).wrap().returnType();
        return SAMPLES.entrySet().stream()
                .filter(entry -> wrapped == entry.getKey())
                .findFirst()
                .or(() -> SAMPLES.entrySet().stream()
                        .filter(entry -> wrapped.isAssignableFrom(entry.getKey()))
                        .findFirst())
                .orElseThrow(() -> new AssertionError("Add a sample of " + type + " to this test."))
                .getValue();
    }

    /** One parameter of a public method or constructor. */
    private record Place(Class<?> type, Executable executable, int parameter) {
        private String name() {
            Parameter named = executable.getParameters()[parameter];
            assertThat(named.isNamePresent()).as("compiled with -parameters").isTrue();
            return named.getName();
        }

        @Override
        public String toString() {
            return type.getSimpleName() + "." + executable.getName().replaceAll(".*\\.", "")
                    + Arrays.toString(executable.getParameterTypes()) + " " + name();
        }
    }

    static Stream<Place> places() throws IOException, URISyntaxException {
        Path classes = Path.of(FlashAttention.class
                .getProtectionDomain()
                .getCodeSource()
                .getLocation()
                .toURI());
        List<Place> places = new ArrayList<>();
        for (String name : PACKAGES) {
            try (Stream<Path> files =
                    Files.list(classes.resolve("org/tornadoattention").resolve(name))) {
                files.map(file -> classes.relativize(file).toString())
                        .filter(file -> file.endsWith(".class") && !file.contains("package-info"))
                        .map(file -> file.replace(".class", "").replace('/', '.'))
                        .sorted()
                        .forEach(file -> places.addAll(placesOf(file)));
            }
        }
        return places.stream();
    }

    private static List<Place> placesOf(String className) {
        Class<?> type;
        try {
            type = Class.forName(className);
        } catch (ClassNotFoundException e) {
            throw new AssertionError(e);
        }
        if (!isPublic(type) || Throwable.class.isAssignableFrom(type)) {
            return List.of();
        }
        Stream<Executable> constructors = Arrays.stream(type.getConstructors())
                .filter(_ -> !Modifier.isAbstract(type.getModifiers()))
                .map(Executable.class::cast);
        Stream<Executable> methods = Arrays.stream(type.getMethods())
                .filter(method -> !method.isSynthetic() && !Modifier.isAbstract(method.getModifiers()))
                .filter(method -> method.getDeclaringClass().getName().startsWith("org.tornadoattention"))
                .filter(method -> !OTHERS.contains(method.getName()))
                .filter(method -> Modifier.isStatic(method.getModifiers()) || !Modifier.isAbstract(type.getModifiers()))
                .map(Executable.class::cast);
        return Stream.concat(constructors, methods)
                .flatMap(executable -> IntStream.range(0, executable.getParameterCount())
                        .filter(parameter -> !executable.getParameterTypes()[parameter].isPrimitive())
                        .mapToObj(parameter -> new Place(type, executable, parameter)))
                .toList();
    }

    private static boolean isPublic(Class<?> type) {
        return type == null || Modifier.isPublic(type.getModifiers()) && isPublic(type.getEnclosingClass());
    }

    @ParameterizedTest
    @MethodSource("places")
    void nullIsRefusedByName(Place place) throws ReflectiveOperationException {
        Object[] arguments = Arrays.stream(place.executable.getParameterTypes())
                .map(NullArgumentsTest::sample)
                .toArray();
        arguments[place.parameter] = null;
        Throwable thrown = null;
        try {
            switch (place.executable) {
                case Constructor<?> constructor -> constructor.newInstance(arguments);
                case Method method ->
                    method.invoke(Modifier.isStatic(method.getModifiers()) ? null : sample(place.type), arguments);
            }
        } catch (InvocationTargetException e) {
            thrown = e.getCause();
        }
        assertThat(thrown)
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith(place.name() + " is null");
    }

    /** An element of an array is an argument too. */
    @ParameterizedTest
    @MethodSource("listsWithNull")
    void nullAmongTheElementsIsRefused(String said, Runnable call) {
        assertThatIllegalArgumentException().isThrownBy(call::run).withMessageStartingWith(said);
    }

    static Stream<Arguments> listsWithNull() {
        AttentionResult result = (AttentionResult) sample(AttentionResult.class);
        FlashAttention attention = (FlashAttention) sample(FlashAttention.class);
        RaggedAttention ragged = (RaggedAttention) sample(RaggedAttention.class);
        return Stream.of(
                Arguments.of("parts[1] is null", (Runnable) () -> attention.merge(result, null)),
                Arguments.of("parts[1] is null", (Runnable) () -> ragged.merge(Arrays.asList(result, null))));
    }
}
