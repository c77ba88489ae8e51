package gpt;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;

/** Loss and accuracy by step, as a table (CSV) and as a picture (SVG). */
public final class LossCurve {

    private static final String HEADER = "step,sequence,loss,accuracy,milliseconds";
    private static final int WIDTH = 720;
    private static final int HEIGHT = 300;
    private static final int LEFT = 50;
    private static final int TOP = 30;
    private static final int PLOT_WIDTH = 610;
    private static final int PLOT_HEIGHT = 220;

    private final List<Point> points = new ArrayList<>();

    /** One step. */
    public record Point(int step, int sequence, double loss, double accuracy, double milliseconds) {}

    /** Adds a step. */
    public void add(Point point) {
        points.add(point);
    }

    /** All steps so far. */
    public List<Point> points() {
        return points;
    }

    /** The mean accuracy of the last steps. */
    public double recentAccuracy(int steps) {
        return points.stream()
                .skip(Math.max(0, points.size() - steps))
                .mapToDouble(Point::accuracy)
                .average()
                .orElse(0);
    }

    /** Reads a table back, up to a step. */
    public static LossCurve read(Path csv, int lastStep) throws IOException {
        LossCurve curve = new LossCurve();
        for (String line : Files.readAllLines(csv).stream().skip(1).toList()) {
            String[] cells = line.split(",", -1);
            Point point = new Point(
                    Integer.parseInt(cells[0]),
                    Integer.parseInt(cells[1]),
                    Double.parseDouble(cells[2]),
                    Double.parseDouble(cells[3]),
                    Double.parseDouble(cells[4]));
            if (point.step() <= lastStep) {
                curve.add(point);
            }
        }
        return curve;
    }

    /** Writes the table. */
    public void writeCsv(Path file) throws IOException {
        List<String> lines = new ArrayList<>(List.of(HEADER));
        for (Point point : points) {
            lines.add("%d,%d,%s,%s,%s"
                    .formatted(point.step(), point.sequence(), point.loss(), point.accuracy(), point.milliseconds()));
        }
        Files.write(file, lines);
    }

    /** Writes the picture: loss against the left axis, accuracy against the right. */
    public void writeSvg(Path file, String title) throws IOException {
        double lossTop =
                Math.ceil(points.stream().mapToDouble(Point::loss).max().orElse(1));
        StringBuilder svg = new StringBuilder();
        svg.append("""
                <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
                <rect width="100%%" height="100%%" fill="white"/>
                <text x="%d" y="18" font-size="14">%s</text>
                """.formatted(WIDTH, HEIGHT, LEFT, title));
        for (int tick = 0; tick <= 4; tick++) {
            int y = TOP + PLOT_HEIGHT - PLOT_HEIGHT * tick / 4;
            svg.append(line(LEFT, y, LEFT + PLOT_WIDTH, y, "#ddd"));
            svg.append(text(LEFT - 8, y + 4, "end", "#b03020", number(lossTop * tick / 4)));
            svg.append(text(LEFT + PLOT_WIDTH + 8, y + 4, "start", "#2060b0", 25 * tick + " %"));
        }
        int last = points.isEmpty() ? 1 : points.getLast().step();
        for (int tick = 0; tick <= 5; tick++) {
            int step = last * tick / 5;
            svg.append(text(x(step), TOP + PLOT_HEIGHT + 18, "middle", "black", String.valueOf(step)));
        }
        svg.append(text(LEFT + PLOT_WIDTH / 2, HEIGHT - 8, "middle", "black", "step"));
        for (int i = 0; i < points.size(); i++) {
            Point point = points.get(i);
            if (i == 0 || points.get(i - 1).sequence() != point.sequence()) {
                int at = x(point.step());
                svg.append(line(at, TOP, at, TOP + PLOT_HEIGHT, "#999"));
                svg.append(text(at + 4, TOP + PLOT_HEIGHT / 2 - 4, "start", "#666", "N = " + point.sequence()));
            }
        }
        svg.append(curve("#b03020", point -> point.loss() / lossTop));
        svg.append(curve("#2060b0", Point::accuracy));
        svg.append(text(LEFT + PLOT_WIDTH - 90, 18, "end", "#b03020", "loss, nats"));
        svg.append(text(LEFT + PLOT_WIDTH, 18, "end", "#2060b0", "recall"));
        Files.writeString(file, svg.append("</svg>\n"));
    }

    private int x(int step) {
        return LEFT
                + (int) Math.round((double) PLOT_WIDTH
                        * step
                        / Math.max(1, points.getLast().step()));
    }

    private String curve(String colour, ToDoubleFunction<Point> height) {
        StringBuilder path = new StringBuilder(
                "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"".formatted(colour));
        for (Point point : points) {
            double y = TOP + PLOT_HEIGHT * (1 - height.applyAsDouble(point));
            path.append(String.format(Locale.ROOT, "%d,%.1f ", x(point.step()), y));
        }
        return path.append("\"/>\n").toString();
    }

    private static String line(int x1, int y1, int x2, int y2, String colour) {
        return "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"%s\"/>\n".formatted(x1, y1, x2, y2, colour);
    }

    private static String text(int x, int y, String anchor, String colour, String text) {
        return "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\" fill=\"%s\">%s</text>\n"
                .formatted(x, y, anchor, colour, text);
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, "%.2f", value);
    }
}
