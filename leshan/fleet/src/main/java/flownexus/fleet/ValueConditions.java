package flownexus.fleet;

import java.math.BigDecimal;
import java.util.Map;

import org.eclipse.leshan.client.notification.DefaultNotificationStrategy;
import org.eclipse.leshan.client.notification.NotificationStrategy;
import org.eclipse.leshan.client.notification.checker.CriteriaBasedOnValueChecker;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttribute;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributeModel;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributeSet;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributes;
import org.eclipse.leshan.core.model.ResourceModel.Type;

/**
 * {@code gt}, {@code lt} and {@code st} as LwM2M 1.1 (core, 5.1.2) wants them: a bound is told whenever the value
 * crosses it. Leshan's own tells one direction only, and after the way back, which it does not tell, nothing any more.
 */
final class ValueConditions implements CriteriaBasedOnValueChecker {

    static NotificationStrategy strategy() {
        CriteriaBasedOnValueChecker checker = new ValueConditions();
        return new DefaultNotificationStrategy(
                Map.of(Type.FLOAT, checker, Type.INTEGER, checker, Type.UNSIGNED_INTEGER, checker));
    }

    @Override
    public boolean shouldTriggerNotificationBasedOnValueChange(LwM2mAttributeSet attributes, Object lastSentValue,
            Object newValue) {
        BigDecimal last = new BigDecimal(lastSentValue.toString());
        BigDecimal now = new BigDecimal(newValue.toString());
        BigDecimal step = value(attributes, LwM2mAttributes.STEP);
        BigDecimal above = value(attributes, LwM2mAttributes.GREATER_THAN);
        BigDecimal below = value(attributes, LwM2mAttributes.LESSER_THAN);
        return step != null && now.subtract(last).abs().compareTo(step) >= 0
                || above != null && now.compareTo(above) > 0 != last.compareTo(above) > 0
                || below != null && now.compareTo(below) < 0 != last.compareTo(below) < 0;
    }

    private static BigDecimal value(LwM2mAttributeSet attributes, LwM2mAttributeModel<BigDecimal> model) {
        LwM2mAttribute<BigDecimal> attribute = attributes.get(model);
        return attribute == null ? null : attribute.getValue();
    }
}
