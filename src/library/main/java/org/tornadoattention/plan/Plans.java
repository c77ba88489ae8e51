package org.tornadoattention.plan;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import org.tornadoattention.AttentionException;
import org.tornadoattention.PlanStatistics;

/**
 * Plans by what they are for, the least recently used closed when there are too many. A plan that failed is closed and
 * forgotten. Not synchronised: its owner is.
 */
public final class Plans implements AutoCloseable {

    private record Key(Class<? extends DevicePlan> type, Object problem) {}

    private final int capacity;
    private final Map<Key, DevicePlan> plans;
    private long hits;
    private long misses;

    /** No plans yet, and never more than {@code capacity}. */
    public Plans(int capacity) {
        this.capacity = capacity;
        this.plans = new LinkedHashMap<>(capacity, 0.75f, true);
    }

    /**
     * Uses the plan for a problem.
     *
     * @param type its class: plans of different classes for equal problems are different plans
     * @param build makes it where there is none
     * @return what using it gave
     */
    public <P extends DevicePlan, R> R use(Class<P> type, Object problem, Supplier<P> build, Function<P, R> use) {
        Key key = new Key(type, problem);
        P plan = type.cast(plans.get(key));
        if (plan == null) {
            misses++;
            keep(capacity - 1);
            plan = build.get();
            plans.put(key, plan);
        } else {
            hits++;
        }
        try {
            return use.apply(plan);
        } catch (RuntimeException | Error e) {
            plans.remove(key);
            closeAfter(plan, e::addSuppressed);
            throw e;
        }
    }

    /** Whether there is a plan for a problem; using it builds none then. */
    public boolean holds(Class<? extends DevicePlan> type, Object problem) {
        return plans.containsKey(new Key(type, problem));
    }

    /** The same where using it gives nothing. */
    public <P extends DevicePlan> void run(Class<P> type, Object problem, Supplier<P> build, Consumer<P> use) {
        use(type, problem, build, plan -> {
            use.accept(plan);
            return plan;
        });
    }

    private static void closeAfter(DevicePlan plan, Consumer<Throwable> failure) {
        try {
            plan.close();
        } catch (RuntimeException | Error e) {
            failure.accept(e);
        }
    }

    /** Calls that found their plan, calls that had to build one, and plans held now. */
    public PlanStatistics statistics() {
        return new PlanStatistics(hits, misses, plans.size());
    }

    /**
     * Closes all plans, also where closing one of them fails.
     *
     * @throws AttentionException if closing one failed
     */
    @Override
    public void close() {
        keep(0);
    }

    private void keep(int most) {
        AttentionException failure = null;
        var oldestFirst = plans.values().iterator();
        for (int surplus = plans.size() - most; surplus > 0; surplus--) {
            DevicePlan oldest = oldestFirst.next();
            oldestFirst.remove();
            try {
                oldest.close();
            } catch (AttentionException e) {
                if (failure == null) {
                    failure = e;
                } else {
                    failure.addSuppressed(e);
                }
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
