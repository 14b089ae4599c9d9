() => {
  // What a reader sees of a laid out mail: texts, pictures and painted boxes, each with its place.
  const place = (box) => [box.left, box.top, box.width, box.height].map(Math.round)
  const seen = { texts: [], images: [], boxes: [] }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.data.replace(/[\s\u00a0\u034f\u200b-\u200f]+/g, ' ').trim()
    const range = document.createRange()
    range.selectNodeContents(node)
    const box = range.getBoundingClientRect()
    const style = getComputedStyle(node.parentElement)
    if (!text || !box.width || !box.height || style.visibility === 'hidden' || parseFloat(style.fontSize) < 2) continue
    seen.texts.push([text, style.color, style.fontSize, style.fontWeight, style.fontStyle, style.fontFamily, style.textTransform, ...place(box)])
  }
  for (const element of document.body.querySelectorAll('*')) {
    const box = element.getBoundingClientRect()
    if (!box.width || !box.height) continue
    const style = getComputedStyle(element)
    if (element.tagName === 'IMG') seen.images.push([element.src, element.alt.replace(/\s+/g, ' '), ...place(box)])
    const borders = ['Top', 'Right', 'Bottom', 'Left'].map((side) => style[`border${side}Width`] + ' ' + style[`border${side}Color`])
    const bordered = borders.some((border) => !border.startsWith('0px'))
    if (style.backgroundColor !== 'rgba(0, 0, 0, 0)' || style.backgroundImage !== 'none' || bordered) {
      seen.boxes.push([style.backgroundColor, style.backgroundImage, style.backgroundSize, bordered ? borders.join(', ') : '', style.borderRadius, ...place(box)])
    }
  }
  return seen
}
