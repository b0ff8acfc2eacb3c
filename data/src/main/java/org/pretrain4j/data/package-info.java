/** To be described. */
package org.pretrain4j.data;
