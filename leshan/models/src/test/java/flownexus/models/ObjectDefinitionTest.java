package flownexus.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Pattern;

import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ObjectDefinitionTest {

    private static final String DDF = """
            <?xml version="1.0" encoding="UTF-8"?>
            <LWM2M>
            <Object ObjectType="MODefinition">
            <Name>Tank</Name>
            <Description1>How full it is.</Description1>
            <ObjectID>30001</ObjectID>
            <ObjectURN>urn:oma:lwm2m:x:30001</ObjectURN>
            <ObjectVersion>1.2</ObjectVersion>
            <MultipleInstances>Multiple</MultipleInstances>
            <Mandatory>Optional</Mandatory>
            <Resources>
            <Item ID="1"><Name>Level</Name>
            <Operations>R</Operations>
            <MultipleInstances>Single</MultipleInstances>
            <Mandatory>Mandatory</Mandatory>
            <Type>Float</Type>
            <RangeEnumeration>0..100</RangeEnumeration><Units>%</Units><Description>Of all.</Description></Item>
            <Item ID="2"><Name>Empty it</Name>
            <Operations>E</Operations>
            <MultipleInstances>Single</MultipleInstances>
            <Mandatory>Optional</Mandatory>
            <Type></Type>
            <RangeEnumeration></RangeEnumeration><Units></Units><Description></Description></Item>
            </Resources>
            </Object>
            </LWM2M>
            """;

    private static ObjectModel parse(String ddf) {
        return ObjectDefinition.parse(ddf.getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void readsAnObject() {
        ObjectModel model = parse(DDF);

        assertEquals(30001, model.id);
        assertEquals("1.2", model.version);
        assertTrue(model.multiple);
        assertEquals(Type.FLOAT, model.resources.get(1).type);
        assertEquals("%", model.resources.get(1).units);
        assertTrue(model.resources.get(2).operations.isExecutable());
        assertEquals("1.0", parse(DDF.replace("<ObjectVersion>1.2</ObjectVersion>", "")).version);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            <LWM2M>                            | <DDF>                            | line 2: the outermost element must be LWM2M
            <ObjectID>30001</ObjectID>         | <ObjectID>many</ObjectID>        | line 6: ObjectID must be a number
            <ObjectID>30001</ObjectID>         | <ObjectID>65535</ObjectID>       | line 6: ObjectID must be a number
            <ObjectID>30001</ObjectID>         | <ObjectId>30001</ObjectId>       | the object has no ObjectID
            >1.2<                              | >one<                            | line 8: ObjectVersion 'one' must be like 1.0
            >Multiple<                         | >Many<                           | line 9: MultipleInstances is 'Many'
            <Operations>R</Operations>         | <Operations>RX</Operations>      | line 13: Operations of resource 1
            <Type>Float</Type>                 | <Type>Real</Type>                | line 16: Type of resource 1 is 'Real'
            <Type>Float</Type>                 | <Type></Type>                    | line 17: resource 1 can be read or written
            ID="2"                             | ID="1"                           | line 18: resource 1 is defined a second time (first in line 12)
            ID="2"                             | ID="-1"                          | line 18: the ID of an Item must be a number
            <Name>Level</Name>                 | ''                               | resource 1 has no Name
            </Resources>                       | <Resources>                      | line 25:
            </Object>                          | </Object><Object/>               | line 25: a second Object
            """)
    void saysWhatIsWrongAndWhere(String right, String wrong, String message) {
        assertTrue(DDF.contains(right));
        IllegalArgumentException refused = assertThrows(IllegalArgumentException.class,
                () -> parse(DDF.replaceFirst(Pattern.quote(right), wrong)));
        assertTrue(refused.getMessage().contains(message), refused.getMessage());
        assertFalse(refused.getMessage().contains("\n"));
    }

    @Test
    void readsNothingButTheFile() {
        String entity = DDF.replace("<LWM2M>", "<!DOCTYPE LWM2M [<!ENTITY e SYSTEM \"file:///etc/hostname\">]>\n<LWM2M>")
                .replace("Tank", "&e;");
        assertTrue(assertThrows(IllegalArgumentException.class, () -> parse(entity)).getMessage().contains("DOCTYPE"));
        for (String rubbish : List.of("", "{}", "<LWM2M/>", "<LWM2M></LWM2M>")) {
            assertFalse(assertThrows(IllegalArgumentException.class, () -> parse(rubbish)).getMessage().isBlank());
        }
    }

    @Test
    void liesOverTheLoadedModelsAndComesOffAgain() {
        ObjectModels models = ObjectModels.load(List.of());
        int before = models.all().size();
        ObjectModel temperature = parse(DDF.replace("30001", "3303").replace("1.2", "1.0"));

        models.overlay(List.of(temperature, parse(DDF)));
        assertEquals("Tank", models.nearest(3303, "1.0").name);
        assertEquals("Tank", models.nearest(30001, "1.0").name);
        assertEquals(before + 1, models.all().size());

        models.overlay(List.of());
        assertEquals("Temperature", models.nearest(3303, "1.0").name);
        assertEquals(before, models.all().size());
    }
}
