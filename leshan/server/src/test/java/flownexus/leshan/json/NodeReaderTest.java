package flownexus.leshan.json;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Date;
import java.util.List;

import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.ObjectLink;
import org.junit.jupiter.api.Test;

import flownexus.models.ObjectModels;

/** The shapes of the demo server's pages: no kinds, no types, ids and values as text. */
class NodeReaderTest {

    private final NodeReader reader = new NodeReader(new StaticModel(ObjectModels.load(List.of()).all()));

    private LwM2mNode read(String path, String json) throws Exception {
        return reader.read(Json.MAPPER.readTree(json.replace('\'', '"')), new LwM2mPath(path));
    }

    private Object value(String path, String value) throws Exception {
        return ((LwM2mSingleResource) read(path, "{'id':'%d','value':%s}".formatted(new LwM2mPath(path).getResourceId(),
                value))).getValue();
    }

    @Test
    void takesValuesAsAFormSendsThem() throws Exception {
        assertEquals("+01", value("/3/0/14", "'+01'"));
        assertEquals(300L, value("/1/0/1", "300"));
        assertEquals(300L, value("/1/0/1", "'300'"));
        assertEquals(true, value("/1/0/6", "'true'"));
        assertEquals(false, value("/1/0/6", "'false'"));
        assertEquals(false, value("/1/0/6", "false"));
        assertEquals(new Date(1_767_225_600_000L), value("/3/0/13", "'2026-01-01T01:00:00+01:00'"));
        assertEquals(new Date(1_767_225_600_000L), value("/3/0/13", "'1767225600000'"));
        assertEquals(new Date(1_767_225_600_000L), value("/3/0/13", "1767225600000"));
        assertEquals(new ObjectLink(3, 0),
                ((LwM2mSingleResource) read("/10/0/1", "{'type':'objlnk','value':'3:0'}")).getValue());
        for (String wrong : List.of("'maybe'", "1", "null")) {
            assertThrows(IllegalArgumentException.class, () -> value("/1/0/6", wrong));
        }
        assertThrows(IllegalArgumentException.class, () -> value("/3/0/13", "'yesterday'"));
    }

    @Test
    void takesInstancesWithoutKinds() throws Exception {
        LwM2mObjectInstance instance = (LwM2mObjectInstance) read("/1/0",
                "{'id':'0','resources':[{'id':'1','value':60},{'id':'6','value':'true'}]}");
        assertEquals(0, instance.getId());
        assertEquals(60L, instance.getResource(1).getValue());
        assertEquals(true, instance.getResource(6).getValue());

        LwM2mObjectInstance created = (LwM2mObjectInstance) read("/3303", "{'resources':[{'id':'5750','value':'hall'}]}");
        assertEquals(LwM2mObjectInstance.UNDEFINED, created.getId());
        assertEquals(7, ((LwM2mObjectInstance) read("/3303", "{'resources':[],'id':'7'}")).getId());
        for (String id : List.of("'x'", "'-1'", "'123456'", "true")) {
            assertThrows(IllegalArgumentException.class, () -> read("/3303", "{'resources':[],'id':" + id + "}"));
        }
    }
}
