package org.tornadoattention.cli;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.PrintWriter;

/** Records as indented JSON; parts that are null are left out. */
final class Json {

    private Json() {}

    static void print(PrintWriter out, Object value) throws JsonProcessingException {
        out.println(JsonMapper.builder()
                .defaultPropertyInclusion(
                        JsonInclude.Value.construct(JsonInclude.Include.NON_NULL, JsonInclude.Include.NON_NULL))
                .build()
                .writerWithDefaultPrettyPrinter()
                .writeValueAsString(value));
        out.flush();
    }
}
