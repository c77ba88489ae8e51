package org.tornadoattention.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** A program that speaks as {@code bench/peers.py --serve} does and makes its times up: 1, then 2, and so on. */
public final class MadeUpPeer {

    private MadeUpPeer() {}

    /** The command that starts it. */
    public static String command(String manner) {
        return "'%s' -XX:TieredStopAtLevel=1 -cp '%s' %s %s"
                .formatted(
                        Path.of(System.getProperty("java.home"), "bin", "java"),
                        System.getProperty("java.class.path"),
                        MadeUpPeer.class.getName(),
                        manner);
    }

    /**
     * {@code well}: in milliseconds, {@code slowly}: in seconds, {@code mute}: ends at once, or {@code odd}: says what
     * is no JSON.
     */
    public static void main(String... manner) throws IOException {
        if (manner[0].equals("mute")) {
            System.exit(3);
        }
        if (manner[0].equals("odd")) {
            System.out.println("Hello!");
            return;
        }
        ObjectMapper json = new ObjectMapper();
        System.out.println(
                "{\"environment\": {\"device\": \"a device\", \"runtime\": \"Made up 1.0\", \"backend\": \"cpu\"}}");
        BufferedReader questions = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        int step = manner[0].equals("slowly") ? 1000 : 1;
        int milliseconds = 0;
        for (String line = questions.readLine(); line != null; line = questions.readLine()) {
            JsonNode question = json.readTree(line);
            milliseconds += step;
            ObjectNode result = json.createObjectNode();
            result.set("case", question.get("case"));
            result.put("provider", "made-up").put("kernel", "fast").put("status", "MEASURED");
            result.putObject("timing")
                    .put("kernelMilliseconds", milliseconds)
                    .put("repetitions", question.get("repetitions").asInt())
                    .put("teraflops", 0.5);
            ObjectNode answer = json.createObjectNode();
            answer.putArray("results").add(result);
            System.out.println(json.writeValueAsString(answer));
        }
    }
}
