package org.tornadoattention.embeddings;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.DayOfWeek;
import java.time.Month;
import java.time.format.TextStyle;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.Stream;

/**
 * Texts of one word to some hundreds, in many languages: paragraphs of this project's guides, and names that the JDK
 * knows.
 */
final class MixedTexts {

    private static final List<String> LANGUAGES = List.of(
            "en", "de", "fr", "es", "it", "pt", "nl", "sv", "pl", "cs", "ru", "uk", "el", "tr", "ar", "he", "fa", "hi",
            "bn", "th", "vi", "id", "ja", "ko", "zh", "fi", "hu", "ro", "sw", "ka");

    private MixedTexts() {}

    /** The same ones for the same number. */
    static List<String> of(int count) throws IOException {
        Random random = new Random(21);
        List<String> paragraphs = paragraphs();
        List<String> texts = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int words = 1 + (int) Math.expm1(random.nextDouble() * Math.log(150));
            if (i % 2 == 0) {
                texts.add(beginning(paragraphs.get(random.nextInt(paragraphs.size())), words));
            } else {
                texts.add(names(Locale.of(LANGUAGES.get(random.nextInt(LANGUAGES.size()))), words, random));
            }
        }
        Collections.shuffle(texts, random);
        return texts;
    }

    private static List<String> paragraphs() throws IOException {
        List<String> paragraphs = new ArrayList<>();
        try (Stream<Path> guides = Files.list(Path.of("docs"))) {
            for (Path guide : guides.filter(file -> file.toString().endsWith(".md"))
                    .sorted()
                    .toList()) {
                for (String paragraph : Files.readString(guide).split("\n\\s*\n")) {
                    if (paragraph.length() > 20) {
                        paragraphs.add(paragraph.replace('\n', ' '));
                    }
                }
            }
        }
        return paragraphs;
    }

    private static String beginning(String paragraph, int words) {
        String[] all = paragraph.split(" +");
        return String.join(" ", List.of(all).subList(0, Math.min(words, all.length)));
    }

    /** Countries, languages, months and days, by their names in a language. */
    private static String names(Locale locale, int words, Random random) {
        String[] countries = Locale.getISOCountries();
        List<String> names = new ArrayList<>();
        while (names.size() < words) {
            names.add(
                    switch (random.nextInt(4)) {
                        case 0 ->
                            Locale.of("", countries[random.nextInt(countries.length)])
                                    .getDisplayCountry(locale);
                        case 1 ->
                            Locale.of(LANGUAGES.get(random.nextInt(LANGUAGES.size())))
                                    .getDisplayLanguage(locale);
                        case 2 -> Month.of(1 + random.nextInt(12)).getDisplayName(TextStyle.FULL, locale);
                        default -> DayOfWeek.of(1 + random.nextInt(7)).getDisplayName(TextStyle.FULL, locale);
                    });
        }
        return String.join(" ", names);
    }
}
