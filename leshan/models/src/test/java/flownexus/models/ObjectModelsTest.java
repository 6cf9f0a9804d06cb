package flownexus.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;

import org.eclipse.leshan.core.LwM2m.Version;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ObjectModelsTest {

    private static final String DDF = """
            <?xml version="1.0" encoding="UTF-8"?>
            <LWM2M><Object ObjectType="MODefinition"><Name>%s</Name><ObjectID>%d</ObjectID>
            <ObjectVersion>%s</ObjectVersion><MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory>
            <Resources><Item ID="1"><Name>Level</Name><Operations>R</Operations>
            <MultipleInstances>Single</MultipleInstances><Mandatory>Mandatory</Mandatory><Type>Float</Type>
            <RangeEnumeration></RangeEnumeration><Units>m</Units><Description></Description></Item></Resources>
            </Object></LWM2M>
            """;

    @TempDir
    Path folder;

    @Test
    void holdsTheCoreObjectsAndTheRegistrys() {
        ObjectModels models = ObjectModels.load(List.of());

        assertTrue(models.all().size() > 320, () -> "only " + models.all().size());
        assertEquals("Temperature", models.nearest(3303, "1.0").name);
        assertEquals(Type.FLOAT, models.nearest(3303, "1.1").resources.get(5700).type);
        assertEquals("1.2", models.nearest(3, "1.2").version);
        assertEquals("1.0", models.nearest(3, (String) null).version);
        assertNull(models.nearest(54321, "1.0"));
    }

    @Test
    void oursComeBeforeTheRegistrys() {
        ObjectModels models = ObjectModels.load(List.of());
        ObjectModel log = models.nearest(20, "1.0");

        assertEquals("1.0", log.version);
        assertEquals(Type.INTEGER, log.resources.get(26241).type);
        assertEquals("Log level", log.resources.get(26241).name);
        assertEquals(Type.OPAQUE, log.resources.get(4014).type);
        assertEquals(List.of("LogClass", "LogStart", "LogStop", "LogStatus", "LogData", "LogDataFormat"),
                IntStream.rangeClosed(4010, 4015).mapToObj(id -> log.resources.get(id).name).toList());
        assertEquals(new Version("1.2"), models.newestVersion(3));
        assertNull(models.newestVersion(54321));
    }

    @Test
    void fallsBackToTheNearestVersion() throws IOException {
        write("a.xml", "old", 30001, "1.0");
        write("b.xml", "middle", 30001, "1.4");
        write("c.xml", "next major", 30001, "2.0");
        ObjectModels models = ObjectModels.load(List.of(folder));

        assertEquals("old", models.nearest(30001, "1.1").name);
        assertEquals("middle", models.nearest(30001, "1.2").name, "of two equally close the newer one");
        assertEquals("middle", models.nearest(30001, new Version("1.9")).name, "the same major version first");
        assertEquals("next major", models.nearest(30001, "3.1").name);
        assertEquals("old", models.nearest(30001, "nonsense").name);
    }

    @Test
    void aUsersFileReplacesTheBuiltInOne() throws IOException {
        write("3303.xml", "Our thermometer", 3303, "1.1");
        write("notes.txt", "not a model", 1, "x");

        ObjectModels models = ObjectModels.load(List.of(folder));

        assertEquals("Our thermometer", models.nearest(3303, "1.1").name);
        assertEquals("Temperature", models.nearest(3303, "1.0").name);
    }

    @Test
    void saysWhichFileIsOfNoUse() throws IOException {
        Files.writeString(folder.resolve("broken.xml"), "<LWM2M><Object>");

        IllegalArgumentException broken = assertThrows(IllegalArgumentException.class,
                () -> ObjectModels.load(List.of(folder)));
        assertTrue(broken.getMessage().contains("broken.xml"), broken.getMessage());
        assertFalse(broken.getMessage().contains("\n"));

        IllegalArgumentException missing = assertThrows(IllegalArgumentException.class,
                () -> ObjectModels.load(List.of(folder.resolve("nowhere"))));
        assertNotNull(missing.getMessage());
        assertTrue(missing.getMessage().contains("nowhere is not a folder"), missing.getMessage());
    }

    private void write(String file, String name, int id, String version) throws IOException {
        Files.writeString(folder.resolve(file), DDF.formatted(name, id, version));
    }
}
